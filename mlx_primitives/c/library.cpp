// What this library is, whether the loaded libmlx is the one it was built for,
// and the reporting of errors.

#include <mutex>
#include <string>

#include <dlfcn.h>

#include "internal.h"
#include "mlx/version.h"

#if __has_include("mlx/fused/build_id.h")
#include "mlx/fused/build_id.h"
#define MLX_FORK_HAS_BUILD_ID
#endif

namespace mlx_fork {

namespace {

struct Handler {
  std::mutex mutex;
  mlx_fork_error_handler function{nullptr};
  void* data{nullptr};
};

Handler& handler() {
  static Handler handler_;
  return handler_;
}

std::string& last_error() {
  thread_local std::string text;
  return text;
}

std::string headers_version() {
  return std::to_string(MLX_VERSION_MAJOR) + "." +
      std::to_string(MLX_VERSION_MINOR) + "." +
      std::to_string(MLX_VERSION_PATCH);
}

// The id of the fork whose libmlx is loaded; "" for a stock one.
std::string loaded_fork_id() {
#ifdef MLX_FORK_HAS_BUILD_ID
  return mlx_fork_build_id();
#else
  // Built for stock: only a fork has the function.
  auto function = reinterpret_cast<const char* (*)()>(
      dlsym(RTLD_DEFAULT, "mlx_fork_build_id"));
  return function == nullptr ? "" : function();
#endif
}

std::string find_incompatibility() {
  const std::string wanted = headers_version();
  const std::string loaded = mx::version();
  // A development build has a suffix, as in "0.32.0.dev20260620+5abdd04".
  const bool same = loaded.compare(0, wanted.size(), wanted) == 0 &&
      (loaded.size() == wanted.size() || loaded[wanted.size()] == '.' ||
       loaded[wanted.size()] == '+');
  if (!same) {
    return "libmlx_fork_c was built for MLX " + wanted +
        ", but the libmlx that is loaded is " + loaded +
        "; build it again for that one";
  }
#ifdef MLX_FORK_HAS_BUILD_ID
  const std::string id = MLX_FORK_ID;
#else
  const std::string id;
#endif
  if (const std::string fork = loaded_fork_id(); fork != id) {
    auto named = [](const std::string& id) {
      return id.empty() ? std::string("stock MLX") : "fork " + id;
    };
    return "libmlx_fork_c was built for " + named(id) +
        ", but the libmlx that is loaded is " + named(fork) +
        "; they must come from the same prefix";
  }
  return "";
}

} // namespace

const std::string& incompatibility() {
  static const std::string text = find_incompatibility();
  return text;
}

void report(const char* message) noexcept {
  try {
    last_error() = message;
    mlx_fork_error_handler function;
    void* data;
    {
      std::lock_guard<std::mutex> lock(handler().mutex);
      function = handler().function;
      data = handler().data;
    }
    // Outside the lock: a handler may set another one.
    if (function != nullptr) {
      function(message, data);
    }
  } catch (...) {
    // No memory for the text: the return code still tells.
  }
}

} // namespace mlx_fork

using namespace mlx_fork;

const char* mlx_fork_id(void) {
  return MLX_FORK_ID;
}

const char* mlx_fork_mlx_version(void) {
  return mx::version();
}

int mlx_fork_check(void) {
  return guarded([] {});
}

const char* mlx_fork_last_error(void) {
  return last_error().c_str();
}

void mlx_fork_set_error_handler(mlx_fork_error_handler function, void* data) {
  std::lock_guard<std::mutex> lock(handler().mutex);
  handler().function = function;
  handler().data = data;
}
