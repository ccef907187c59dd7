// What metal-cpp uses of IOSurface: handles.

#pragma once

typedef struct __IOSurface* IOSurfaceRef;
