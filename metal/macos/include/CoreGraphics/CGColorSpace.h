// What metal-cpp uses of CoreGraphics: handles of colour spaces.

#pragma once

typedef struct CGColorSpace* CGColorSpaceRef;
