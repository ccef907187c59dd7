// Copyright © 2026 The mlx-fork authors
//
// metal::is_same and its kin: the standard's traits, with half and bfloat
// counted as floating-point types.
//
// Names that MLX adds to namespace metal itself (is_empty, make_void, void_t,
// pointer_element), or has at global scope (forward), are left out on purpose.

#pragma once

#include <type_traits>

#include "emulator/overloads.h"

namespace metal {

using std::add_const;
using std::add_const_t;
using std::add_cv;
using std::add_cv_t;
using std::add_lvalue_reference;
using std::add_lvalue_reference_t;
using std::add_pointer;
using std::add_pointer_t;
using std::add_rvalue_reference;
using std::add_rvalue_reference_t;
using std::add_volatile;
using std::add_volatile_t;
using std::alignment_of;
using std::bool_constant;
using std::conditional;
using std::conditional_t;
using std::decay;
using std::decay_t;
using std::declval;
using std::enable_if;
using std::enable_if_t;
using std::extent;
using std::false_type;
using std::integral_constant;
using std::is_array;
using std::is_array_v;
using std::is_base_of;
using std::is_base_of_v;
using std::is_class;
using std::is_class_v;
using std::is_const;
using std::is_const_v;
using std::is_constructible;
using std::is_constructible_v;
using std::is_enum;
using std::is_enum_v;
using std::is_function;
using std::is_function_v;
using std::is_integral;
using std::is_integral_v;
using std::is_lvalue_reference;
using std::is_lvalue_reference_v;
using std::is_pointer;
using std::is_pointer_v;
using std::is_reference;
using std::is_reference_v;
using std::is_rvalue_reference;
using std::is_rvalue_reference_v;
using std::is_same;
using std::is_same_v;
using std::is_trivially_copyable;
using std::is_trivially_copyable_v;
using std::is_union;
using std::is_union_v;
using std::is_unsigned;
using std::is_unsigned_v;
using std::is_void;
using std::is_void_v;
using std::is_volatile;
using std::is_volatile_v;
using std::make_signed;
using std::make_signed_t;
using std::make_unsigned;
using std::make_unsigned_t;
using std::rank;
using std::remove_const;
using std::remove_const_t;
using std::remove_cv;
using std::remove_cv_t;
using std::remove_extent;
using std::remove_extent_t;
using std::remove_pointer;
using std::remove_pointer_t;
using std::remove_reference;
using std::remove_reference_t;
using std::remove_volatile;
using std::remove_volatile_t;
using std::true_type;
using std::underlying_type;
using std::underlying_type_t;

template <typename T>
struct is_floating_point
    : bool_constant<
          std::is_floating_point_v<T> || emu::is_small<std::remove_cv_t<T>>> {};

template <typename T>
struct is_arithmetic
    : bool_constant<std::is_integral_v<T> || is_floating_point<T>::value> {};

template <typename T>
struct is_signed
    : bool_constant<std::is_signed_v<T> || is_floating_point<T>::value> {};

template <typename T>
struct is_scalar
    : bool_constant<std::is_scalar_v<T> || is_floating_point<T>::value> {};

template <typename T>
struct is_fundamental
    : bool_constant<std::is_fundamental_v<T> || is_floating_point<T>::value> {};

template <typename T>
constexpr bool is_floating_point_v = is_floating_point<T>::value;
template <typename T>
constexpr bool is_arithmetic_v = is_arithmetic<T>::value;
template <typename T>
constexpr bool is_signed_v = is_signed<T>::value;
template <typename T>
constexpr bool is_scalar_v = is_scalar<T>::value;
template <typename T>
constexpr bool is_fundamental_v = is_fundamental<T>::value;

template <typename From, typename To>
struct is_convertible
    : bool_constant<
          std::is_convertible_v<From, To> && !emu::is_only_float<From>> {};

template <typename From, typename To>
constexpr bool is_convertible_v = is_convertible<From, To>::value;

template <typename... T>
using _conjunction = std::conjunction<T...>;
template <typename... T>
using _disjunction = std::disjunction<T...>;
template <typename T>
using _negation = std::negation<T>;

} // namespace metal
