// Copyright © 2026 The mlx-fork authors
//
// As much of an Objective-C runtime as metal-cpp needs: objects that count
// their references, classes with a table of methods, and messages that find a
// method by its selector. A message that no method answers ends the process,
// with the names of class and selector. No categories, no message forwarding,
// no protocols.

#pragma once

#include <atomic>
#include <cstdint>
#include <initializer_list>
#include <unordered_map>

#include <objc/runtime.h>

namespace emu::host {

class Class;

// What messages go to: instances, and classes.
class Object {
 public:
  explicit Object(const Class& type) : type_(&type) {}
  Object(const Object&) = delete;
  Object& operator=(const Object&) = delete;
  virtual ~Object() = default;

  const Class& type() const {
    return *type_;
  }

  Object* retain();
  // The last one deletes the object.
  void release();
  // Released when the thread's innermost pool is.
  Object* autorelease();
  int64_t reference_count() const {
    return references_;
  }
  Object* self() {
    return this;
  }
  bool responds_to(SEL selector) const;

  // NSObject, the class of all.
  static const Class& class_object();

 private:
  const Class* type_;
  std::atomic<int64_t> references_{1};
};

// A function with a method's signature: receiver, selector, arguments.
using Function = void (*)();

struct Method {
  const char* selector;
  Function function;
};

// A class, whose own type is where its class methods are.
class Class : public Object {
 public:
  Class(
      const char* name,
      const Class* super,
      std::initializer_list<Method> methods,
      std::initializer_list<Method> class_methods = {});

  // Null where neither it nor a class above has such a method.
  Function find(SEL selector) const;

  const char* name() const {
    return name_;
  }
  bool is_meta() const {
    return is_meta_;
  }

 private:
  // The class of a class.
  Class(
      const char* name,
      const Class* super,
      std::initializer_list<Method> methods,
      bool is_meta);
  void add(std::initializer_list<Method> methods);

  const char* name_;
  bool is_meta_;
  std::unordered_map<SEL, Function> methods_;
};

// The method that answers this message: what the trampolines jump to.
extern "C" Function emu_host_find_method(const Object* receiver, SEL selector);

template <auto member>
struct Thunk;

template <class C, class R, class... A, R (C::*member)(A...)>
struct Thunk<member> {
  static R call(Object* receiver, SEL, A... arguments) {
    return (static_cast<C*>(receiver)->*member)(arguments...);
  }
};

template <class C, class R, class... A, R (C::*member)(A...) const>
struct Thunk<member> {
  static R call(const Object* receiver, SEL, A... arguments) {
    return (static_cast<const C*>(receiver)->*member)(arguments...);
  }
};

template <class R, class... A, R (*function)(A...)>
struct Thunk<function> {
  static R call(Object*, SEL, A... arguments) {
    return function(arguments...);
  }
};

// A member function as an instance's method, a function as a class's. Its
// arguments and result must be of metal-cpp's types, or of the same layout.
template <auto function>
Method method(const char* selector) {
  return {selector, reinterpret_cast<Function>(&Thunk<function>::call)};
}

// +alloc of classes that -init needs no arguments.
template <class T>
Object* allocate() {
  return new T;
}

// Owns one reference.
template <class T>
class Reference {
 public:
  Reference() = default;
  // Takes the reference that the caller has.
  static Reference take(T* object) {
    Reference reference;
    reference.object_ = object;
    return reference;
  }
  static Reference share(T* object) {
    if (object) {
      object->retain();
    }
    return take(object);
  }
  Reference(const Reference& other) : Reference(share(other.object_)) {}
  Reference(Reference&& other) noexcept : object_(other.object_) {
    other.object_ = nullptr;
  }
  Reference& operator=(Reference other) noexcept {
    std::swap(object_, other.object_);
    return *this;
  }
  ~Reference() {
    if (object_) {
      object_->release();
    }
  }

  T* get() const {
    return object_;
  }
  T* operator->() const {
    return object_;
  }
  explicit operator bool() const {
    return object_ != nullptr;
  }
  // Gives the reference away.
  T* give() {
    T* object = object_;
    object_ = nullptr;
    return object;
  }

 private:
  T* object_ = nullptr;
};

} // namespace emu::host
