// Copyright © 2026 The mlx-fork authors
//
// Libraries of kernels and their functions, with the values of function
// constants. A library is a file that the tool compiles kernels from: a
// metallib of the emulator's (a list of sources), or the Metal source that MLX
// made.

#pragma once

#include <map>
#include <string>

#include "foundation/string.h"
#include "metal/kernel.h"
#include "objective_c/object.h"

namespace emu::host {

class FunctionConstants : public Object {
 public:
  FunctionConstants() : Object(class_object()) {}
  void set(const void* value, uint64_t type, uint64_t index);
  const Constants& values() const {
    return values_;
  }

  static const Class& class_object();

 private:
  Constants values_;
};

class FunctionDescriptor : public Object {
 public:
  FunctionDescriptor() : Object(class_object()) {}
  static Object* make();
  void set_name(const String* name) {
    name_ = name->text();
  }
  void set_specialized_name(const String*) {}
  void set_constants(FunctionConstants* constants) {
    constants_ = Reference<FunctionConstants>::share(constants);
  }
  const std::string& name() const {
    return name_;
  }
  Constants constants() const;

  static const Class& class_object();

 private:
  std::string name_;
  Reference<FunctionConstants> constants_;
};

class MetalFunction : public Object {
 public:
  explicit MetalFunction(Kernel kernel, std::string error = {});
  const Kernel& kernel() const {
    return kernel_;
  }
  // Why it can't be run; empty where it can.
  const std::string& error() const {
    return error_;
  }

  static const Class& class_object();

 private:
  Kernel kernel_;
  std::string error_;
};

class CompileOptions : public Object {
 public:
  CompileOptions() : Object(class_object()) {}
  // MLX turns it off, which is what the emulator has.
  void set_fast_math(bool enabled);
  void set_version(uint64_t version) {
    version_ = version;
  }
  uint64_t version() const {
    return version_;
  }
  void set_logging(bool) {}

  static const Class& class_object();

 private:
  uint64_t version_ = 0;
};

class Library : public Object {
 public:
  explicit Library(std::string path);
  // Null, and an error, where the file can't be read or is another kind of
  // file.
  static Library* at_path(const String* path, Error** error);
  static Library*
  of_source(const String* source, const CompileOptions* options, Error** error);

  // Null where the library has no such kernel. One that doesn't compile fails
  // when a pipeline is made of it, which can say why.
  MetalFunction* function(const String* name) const;
  MetalFunction* described(const FunctionDescriptor* descriptor, Error** error)
      const;

  static const Class& class_object();

 private:
  std::string path_;
};

} // namespace emu::host
