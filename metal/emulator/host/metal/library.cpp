// Copyright © 2026 The mlx-fork authors

#include "metal/library.h"

#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <stdexcept>
#include <utility>

#include "metal/types.h"

namespace emu::host {
namespace {

constexpr const char* first_line = "metallib of sources 1";

uint64_t size_of(DataType type) {
  switch (type) {
    case DataType::boolean:
    case DataType::int8:
    case DataType::uint8:
      return 1;
    case DataType::float16:
    case DataType::bfloat16:
    case DataType::int16:
    case DataType::uint16:
      return 2;
    case DataType::float32:
    case DataType::int32:
    case DataType::uint32:
      return 4;
    case DataType::int64:
    case DataType::uint64:
      return 8;
  }
  fprintf(
      stderr,
      "mlx-fork: the emulated Metal has no function constants of the type %llu\n",
      static_cast<unsigned long long>(type));
  abort();
}

// The kernel with these constants. Throws std::runtime_error where it reads
// one that is not among them.
Kernel specialised(Kernel kernel, Constants constants) {
  for (const auto& [index, name] : kernel.needed) {
    if (constants.count(index) == 0) {
      throw std::runtime_error(
          kernel.name + " needs a value for function constant " +
          std::to_string(index) + ", " + name);
    }
  }
  kernel.constants = std::move(constants);
  return kernel;
}

} // namespace

void FunctionConstants::set(const void* value, uint64_t type, uint64_t index) {
  auto size = size_of(static_cast<DataType>(type));
  values_[index] = std::string(static_cast<const char*>(value), size);
}

const Class& FunctionConstants::class_object() {
  static const Class type(
      "MTLFunctionConstantValues",
      &Object::class_object(),
      {method<&FunctionConstants::set>("setConstantValue:type:atIndex:")},
      {method<&allocate<FunctionConstants>>("alloc")});
  return type;
}

Object* FunctionDescriptor::make() {
  return (new FunctionDescriptor)->autorelease();
}

Constants FunctionDescriptor::constants() const {
  return constants_ ? constants_->values() : Constants();
}

const Class& FunctionDescriptor::class_object() {
  static const Class type(
      "MTLFunctionDescriptor",
      &Object::class_object(),
      {method<&FunctionDescriptor::set_name>("setName:"),
       method<&FunctionDescriptor::set_specialized_name>("setSpecializedName:"),
       method<&FunctionDescriptor::set_constants>("setConstantValues:")},
      {method<&FunctionDescriptor::make>("functionDescriptor")});
  return type;
}

MetalFunction::MetalFunction(Kernel kernel, std::string error)
    : Object(class_object()),
      kernel_(std::move(kernel)),
      error_(std::move(error)) {}

const Class& MetalFunction::class_object() {
  static const Class type("MTLFunction", &Object::class_object(), {});
  return type;
}

void CompileOptions::set_fast_math(bool enabled) {
  if (enabled) {
    fprintf(stderr, "mlx-fork: the emulated Metal has no fast mathematics\n");
    abort();
  }
}

const Class& CompileOptions::class_object() {
  static const Class type(
      "MTLCompileOptions",
      &Object::class_object(),
      {method<&CompileOptions::set_fast_math>("setFastMathEnabled:"),
       method<&CompileOptions::set_version>("setLanguageVersion:"),
       method<&CompileOptions::version>("languageVersion"),
       method<&CompileOptions::set_logging>("setEnableLogging:")},
      {method<&allocate<CompileOptions>>("alloc")});
  return type;
}

Library::Library(std::string path)
    : Object(class_object()), path_(std::move(path)) {}

Library* Library::at_path(const String* path, Error** error) {
  std::ifstream file(path->text());
  std::string line;
  if (!file) {
    set_error(error, "there is no " + path->text());
    return nullptr;
  }
  if (!std::getline(file, line) || line != first_line) {
    set_error(error, path->text() + " is no metallib of the emulator's");
    return nullptr;
  }
  clear_error(error);
  return new Library(path->text());
}

// Named by its contents, so that the tool knows what it has compiled before.
Library*
Library::of_source(const String* source, const CompileOptions*, Error** error) {
  auto hash = std::hash<std::string>{}(source->text());
  auto path = scratch() + "/" + std::to_string(hash) + ".metal";
  std::ofstream file(path, std::ios::binary);
  file << source->text();
  file.close();
  if (!file) {
    set_error(error, "can't write " + path);
    return nullptr;
  }
  clear_error(error);
  return new Library(path);
}

MetalFunction* Library::function(const String* name) const {
  try {
    return new MetalFunction(
        specialised(compile(path_, name->text()), Constants()));
  } catch (const NoSuchKernel&) {
    return nullptr;
  } catch (const std::exception& error) {
    return new MetalFunction({}, error.what());
  }
}

MetalFunction* Library::described(
    const FunctionDescriptor* descriptor,
    Error** error) const {
  try {
    auto kernel = specialised(
        compile(path_, descriptor->name()), descriptor->constants());
    clear_error(error);
    return new MetalFunction(std::move(kernel));
  } catch (const std::exception& failure) {
    set_error(error, failure.what());
    return nullptr;
  }
}

const Class& Library::class_object() {
  static const Class type(
      "MTLLibrary",
      &Object::class_object(),
      {method<&Library::function>("newFunctionWithName:"),
       method<&Library::described>("newFunctionWithDescriptor:error:")});
  return type;
}

} // namespace emu::host
