// Copyright © 2026 The mlx-fork authors

#include "foundation/string.h"

#include <utility>

namespace emu::host {

String::String(std::string text)
    : Object(class_object()), text_(std::move(text)) {}

// MLX's strings are ASCII or UTF-8, which are the same to us.
String* String::with_c_string(const char* text, uint64_t) {
  auto* string = new String(text);
  string->autorelease();
  return string;
}

const Class& String::class_object() {
  static const Class type(
      "NSString",
      &Object::class_object(),
      {method<&String::utf8>("UTF8String"), method<&String::length>("length")},
      {method<&String::with_c_string>("stringWithCString:encoding:")});
  return type;
}

Url::Url(const String* path) : Object(class_object()), path_(path->text()) {}

Url* Url::with_path(const String* path) {
  auto* url = new Url(path);
  url->autorelease();
  return url;
}

const Class& Url::class_object() {
  static const Class type(
      "NSURL",
      &Object::class_object(),
      {method<&Url::path>("fileSystemRepresentation")},
      {method<&Url::with_path>("fileURLWithPath:")});
  return type;
}

Error::Error(std::string description)
    : Object(class_object()), description_(std::move(description)) {}

String* Error::description() const {
  auto* string = new String(description_);
  string->autorelease();
  return string;
}

const Class& Error::class_object() {
  static const Class type(
      "NSError",
      &Object::class_object(),
      {method<&Error::description>("localizedDescription")});
  return type;
}

void set_error(Error** error, const std::string& description) {
  if (error) {
    *error = new Error(description);
    (*error)->autorelease();
  }
}

void clear_error(Error** error) {
  if (error) {
    *error = nullptr;
  }
}

} // namespace emu::host
