// What metal-cpp uses of CoreFoundation.

#pragma once

typedef double CFTimeInterval;
