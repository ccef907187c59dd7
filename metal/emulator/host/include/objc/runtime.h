// Copyright © 2026 The mlx-fork authors
//
// What metal-cpp calls of an Objective-C runtime to learn its classes and
// selectors.

#pragma once

struct objc_object;
typedef struct objc_selector* SEL;

extern "C" {
// Null where there is no such class.
void* objc_lookUpClass(const char* name);
// Null: metal-cpp only asks for protocols by name, and never sends them
// anything.
void* objc_getProtocol(const char* name);
// The same selector for the same name, for as long as the process lives.
SEL sel_registerName(const char* name);
}
