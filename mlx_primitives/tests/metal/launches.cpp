// Copyright © 2026 The mlx-fork authors
//
// What the host code would launch (backend/metal/launch.h), for tests that run
// kernels where there is no Metal. Reads a request a line, writes an answer a
// line: space-separated words, lists with commas.
//
//   swiglu TYPE MODE GROUP BITS TRANSPOSE ACTIVATION SORTED
//     X GATE_W GATE_SCALES GATE_BIASES UP_W UP_SCALES UP_BIASES LHS RHS
//   combine TYPE MODE GROUP BITS TRANSPOSE ROUNDING FLOAT_WEIGHTS FLOAT_RESULT
//     H W SCALES BIASES RHS WEIGHTS
//
// An array is SHAPE:STRIDES, or - if there is none; indices have their type in
// front, TYPE:SHAPE:STRIDES, or are -:SHAPE where the default stands for them.
// The answer:
//
//   PATH KERNEL CONSTANTS GRID THREADS INPUTS OUT PARAMS DIMS PARAMS_HEX
//   DIMS_HEX
//
// or "composition". Constants are INDEX=VALUE, with a b behind a bool.

#include <iostream>
#include <map>
#include <sstream>
#include <stdexcept>

#include "mlx/fused/backend/metal/launch.h"

namespace {

using namespace mlx::core::fused;

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts;
  std::string part;
  std::istringstream in(text);
  while (std::getline(in, part, at)) {
    parts.push_back(part);
  }
  return parts;
}

std::vector<int64_t> numbers(const std::string& text) {
  std::vector<int64_t> all;
  for (auto& part : split(text, ',')) {
    all.push_back(std::stoll(part));
  }
  return all;
}

Layout layout(const std::vector<std::string>& parts, size_t first) {
  Layout l;
  l.shape = parts.size() > first ? numbers(parts[first]) : l.shape;
  l.strides = parts.size() > first + 1 ? numbers(parts[first + 1]) : l.strides;
  return l;
}

class Request {
 public:
  explicit Request(const std::string& line) : in_(line) {}

  std::string word() {
    std::string word;
    if (!(in_ >> word)) {
      throw std::invalid_argument("a word is missing");
    }
    return word;
  }

  int number() {
    return std::stoi(word());
  }

  Layout array() {
    auto text = word();
    return text == "-" ? Layout{} : layout(split(text, ':'), 0);
  }

  QuantizedLayout matrix() {
    auto w = array();
    auto scales = array();
    auto biases = array();
    return {w, scales, biases};
  }

  IndexLayout indices() {
    auto parts = split(word(), ':');
    bool given = parts.at(0) != "-";
    return {given, layout(parts, 1), given ? std::stoi(parts[0]) : 0};
  }

  KernelFormat format() {
    static const std::map<std::string, mlx::fused::QuantizedFormat> modes{
        {"affine", mlx::fused::Affine},
        {"mxfp4", mlx::fused::Mxfp4},
        {"mxfp8", mlx::fused::Mxfp8},
        {"nvfp4", mlx::fused::Nvfp4}};
    auto type = word();
    auto mode = modes.at(word());
    int group_size = number();
    int bits = number();
    return {type, mode, group_size, bits, number() != 0};
  }

 private:
  std::istringstream in_;
};

template <typename List>
void list(std::ostream& out, const List& values) {
  const char* comma = "";
  for (auto v : values) {
    out << comma << v;
    comma = ",";
  }
}

void hex(std::ostream& out, const void* data, size_t size) {
  static const char* digits = "0123456789abcdef";
  auto bytes = static_cast<const unsigned char*>(data);
  for (size_t i = 0; i < size; ++i) {
    out << digits[bytes[i] >> 4] << digits[bytes[i] & 15];
  }
}

void answer(std::ostream& out, const Launch& l) {
  out << (l.fast ? "fast " : "general ") << l.kernel << " ";
  const char* comma = "";
  for (auto& c : l.constants) {
    out << comma << c.index << "=" << c.value << (c.is_bool ? "b" : "");
    comma = ",";
  }
  out << " ";
  list(out, l.grid);
  out << " " << l.threads << " ";
  list(out, l.inputs);
  out << " " << l.out << " " << l.params_index << " " << l.dims_index << " ";
  hex(out, &l.params, sizeof(l.params));
  out << " ";
  hex(out, l.dims.data(), l.dims.size() * sizeof(l.dims[0]));
  out << "\n";
}

void answer(std::ostream& out, const std::string& line) {
  Request request(line);
  auto op = request.word();
  if (op == "swiglu") {
    SwiGLULayout layout;
    layout.format = request.format();
    layout.activation = mlx::fused::Activation(request.number());
    layout.sorted_indices = request.number() != 0;
    layout.x = request.array();
    layout.gate = request.matrix();
    layout.up = request.matrix();
    layout.lhs = request.indices();
    layout.rhs = request.indices();
    if (prefers_composition(layout)) {
      out << "composition\n";
    } else {
      answer(out, launch(layout));
    }
  } else if (op == "combine") {
    DownprojCombineLayout layout;
    layout.format = request.format();
    layout.rounding = mlx::fused::StepRounding(request.number());
    layout.float_weights = request.number() != 0;
    layout.float_result = request.number() != 0;
    layout.h = request.array();
    layout.w = request.matrix();
    layout.rhs = request.indices();
    layout.weights = request.array();
    answer(out, launch(layout));
  } else {
    throw std::invalid_argument("no op '" + op + "'");
  }
}

} // namespace

int main() {
  std::string line;
  while (std::getline(std::cin, line)) {
    try {
      answer(std::cout, line);
    } catch (const std::exception& e) {
      std::cerr << "launches: " << e.what() << ": " << line << "\n";
      return 2;
    }
    std::cout.flush();
  }
}
