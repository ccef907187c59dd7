// Copyright © 2026 The mlx-fork authors
//
// NSString, and what is little more than one: NSURL of a file, NSError.

#pragma once

#include <string>

#include "objective_c/object.h"

namespace emu::host {

class String : public Object {
 public:
  explicit String(std::string text);
  static String* with_c_string(const char* text, uint64_t encoding);

  const std::string& text() const {
    return text_;
  }
  const char* utf8() const {
    return text_.c_str();
  }
  uint64_t length() const {
    return text_.size();
  }

  static const Class& class_object();

 private:
  std::string text_;
};

class Url : public Object {
 public:
  explicit Url(const String* path);
  static Url* with_path(const String* path);

  const char* path() const {
    return path_.c_str();
  }

  static const Class& class_object();

 private:
  std::string path_;
};

class Error : public Object {
 public:
  explicit Error(std::string description);

  String* description() const;

  static const Class& class_object();

 private:
  std::string description_;
};

// Sets what `error` points to, where it points to anything.
void set_error(Error** error, const std::string& description);
void clear_error(Error** error);

} // namespace emu::host
