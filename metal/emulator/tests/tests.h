// Copyright © 2026 The mlx-fork authors
//
// The parts of the test program types.cpp.

#pragma once

void test_float16();
void test_expressions();
void test_vectors();
void test_mathematics();
void test_integers();
