// What metal-cpp uses of CoreGraphics: sizes.

#pragma once

typedef double CGFloat;

struct CGSize {
  CGFloat width;
  CGFloat height;
};
typedef struct CGSize CGSize;
