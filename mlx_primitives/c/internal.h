// What the sources of the C API share: errors instead of exceptions, handles to
// and from arrays. Not installed.

#pragma once

#include <optional>
#include <stdexcept>
#include <string>

#include "mlx/array.h"
#include "mlx/stream.h"
#include "mlx/utils.h"
#include "mlx_fork.h"

namespace mlx_fork {

namespace mx = mlx::core;

// Keeps the text for mlx_fork_last_error() and tells the error handler.
void report(const char* message) noexcept;

// What makes the loaded libmlx another one than this was built for; "" if
// nothing.
const std::string& incompatibility();

// Runs `f`; its exceptions become the return code 1 and a report. Nothing runs
// on a libmlx of another version: its objects may be laid out otherwise.
template <typename F>
int guarded(F&& f) noexcept {
  try {
    if (!incompatibility().empty()) {
      throw std::runtime_error(incompatibility());
    }
    f();
    return 0;
  } catch (const std::exception& e) {
    report(e.what());
  } catch (...) {
    report("an exception of unknown type");
  }
  return 1;
}

// The array of a handle; `name` is the argument's.
inline const mx::array& in(mlx_array handle, const char* name) {
  if (handle.ctx == nullptr) {
    throw std::invalid_argument(
        std::string("argument '") + name + "' is an empty handle");
  }
  return *static_cast<const mx::array*>(handle.ctx);
}

inline std::optional<mx::array> optional_in(mlx_array handle) {
  if (handle.ctx == nullptr) {
    return std::nullopt;
  }
  return *static_cast<const mx::array*>(handle.ctx);
}

inline std::optional<int> optional_number(int number) {
  return number == 0 ? std::nullopt : std::optional<int>(number);
}

inline std::string text(const char* string, const char* name) {
  if (string == nullptr) {
    throw std::invalid_argument(std::string("argument '") + name + "' is NULL");
  }
  return string;
}

template <typename T>
T& pointed(T* pointer, const char* name) {
  if (pointer == nullptr) {
    throw std::invalid_argument(std::string("argument '") + name + "' is NULL");
  }
  return *pointer;
}

inline mx::Shape shape_in(const int* shape, size_t ndim) {
  if (ndim > 0) {
    pointed(shape, "shape");
  }
  return mx::Shape(shape, shape + ndim);
}

inline mx::StreamOrDevice stream_in(mlx_stream handle) {
  if (handle.ctx == nullptr) {
    return {};
  }
  return *static_cast<const mx::Stream*>(handle.ctx);
}

inline void out(mlx_array* result, mx::array array) {
  auto& handle = pointed(result, "result");
  if (handle.ctx != nullptr) {
    *static_cast<mx::array*>(handle.ctx) = std::move(array);
  } else {
    handle.ctx = new mx::array(std::move(array));
  }
}

} // namespace mlx_fork
