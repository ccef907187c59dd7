/* A libmlx_fork_c that misbehaves: the real one, of which two functions are
 * replaced. What it does wrong, and from which case on, the environment says. */

#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "mlx_fork.h"

/* The function of the real library. */
static void* real(const char* name) {
  void* library = dlopen(REAL, RTLD_NOW | RTLD_NOLOAD);
  return library ? dlsym(library, name) : NULL;
}

static int is(const char* misdeed) {
  const char* asked = getenv("MISDEED");
  return asked && strcmp(asked, misdeed) == 0;
}

/* Takes all the memory that the process may have. */
static void devour(void) {
  for (size_t size = (size_t)1 << 28; size >= 16; size /= 2) {
    while (malloc(size)) {
    }
  }
}

static int cases = 0;

/* A worker asks for the path once for each case. */
int mlx_fork_last_path(mlx_fork_path* result, const char* op) {
  int (*ask)(mlx_fork_path*, const char*) = real("mlx_fork_last_path");
  int code = ask(result, op);
  if (++cases != 2) {
    return code;
  }
  if (is("crash")) {
    fprintf(stderr, "about to crash\n");
    *(volatile int*)NULL = 1;
  } else if (is("hang")) {
    for (;;) {
      pause();
    }
  } else if (is("devour")) {
    devour();
  } else if (is("leave")) {
    _exit(0);
  } else if (is("babble")) {
    printf("{\"done\":{\"case\":7}}\n");
    fflush(stdout);
  } else if (is("general")) {
    *result = MLX_FORK_PATH_GENERAL;
  } else if (is("composition")) {
    *result = MLX_FORK_PATH_COMPOSITION;
  } else if (is("crash at the end")) {
    atexit(abort);
  }
  return code;
}

int mlx_fork_array_to_bytes(void* result, size_t size, mlx_array array) {
  int (*copy)(void*, size_t, mlx_array) = real("mlx_fork_array_to_bytes");
  static int calls = 0;
  int code = copy(result, size, array);
  const char* threads = getenv("MLX_FUSED_CPU_THREADS");
  int wrong = (is("threads") && threads && strcmp(threads, "3") == 0) ||
      (is("unsteady") && ++calls % 2 == 0);
  if (cases == 1 && wrong && size > 0) {
    *(unsigned char*)result ^= 1;
  }
  return code;
}
