// Copyright © 2026 The mlx-fork authors

#include <mutex>
#include <unordered_map>

#include "mlx/fused/path.h"

namespace mlx::core::fused {

namespace {

struct Paths {
  std::mutex mutex;
  std::unordered_map<std::string, Path> last;
};

Paths& paths() {
  static Paths paths_;
  return paths_;
}

} // namespace

Path last_path(const std::string& op) {
  auto& p = paths();
  std::lock_guard<std::mutex> lock(p.mutex);
  auto it = p.last.find(op);
  return it == p.last.end() ? Path::none : it->second;
}

void record_path(const std::string& op, Path path) {
  auto& p = paths();
  std::lock_guard<std::mutex> lock(p.mutex);
  p.last[op] = path;
}

} // namespace mlx::core::fused
