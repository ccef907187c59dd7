//! Kernels: names, parameters, entries, instantiations; and each error of theirs.

use super::super::Role;
use super::{ErrorKind, cpp, refuses, unit};

const ROLES: &str = "
template <typename T, int N>
[[kernel, max_total_threads_per_threadgroup(N * 32)]] void f(
    const device T* a [[buffer(3)]],
    device T* b,
    constant const int strides[3],
    constant T& c [[buffer(1), function_constant(has_c)]],
    threadgroup T* shared,
    uint3 p [[thread_position_in_grid]],
    ushort lane [[thread_index_in_simdgroup]]) {}
namespace n { template <typename T> kernel void g(device T* a) {} }
[[host_name(\"plain_name\")]] kernel void plain() {}
template [[host_name(\"f_\" \"float\")]] [[kernel]] decltype(f<float, 4>) f<float, 4>;
template [[host_name(\"g_half\")]] [[kernel]] void n::g<half>(device half* a [[buffer(0)]]);
";

#[test]
fn kernels_are_found_with_their_names_and_roles() {
    let unit = unit(ROLES);
    let names: Vec<&str> = unit.exports().iter().map(|e| e.name.as_str()).collect();
    assert_eq!(names, ["plain_name", "f_float", "g_half"]);
    let f = unit.parameters(unit.export("f_float").unwrap());
    let roles: Vec<&Role> = f.iter().map(|p| &p.role).collect();
    let buffer = |index, when: Option<&str>| Role::Buffer {
        index,
        when: when.map(str::to_string),
    };
    let expected = [
        &buffer(3, None),
        // The lowest that no other names, in order, as Apple's compiler numbers.
        &buffer(0, None),
        &buffer(2, None),
        &buffer(1, Some("has_c")),
        &Role::Threadgroup { index: 0 },
        &Role::Position("thread_position_in_grid"),
        &Role::Position("thread_index_in_simdgroup"),
    ];
    assert_eq!(roles, expected);
    let writable: Vec<bool> = f.iter().map(|p| p.writable).collect();
    assert_eq!(writable, [false, true, false, false, true, false, false]);
}

#[test]
fn entries_pass_each_parameter_what_it_is_bound_to() {
    let text = cpp(ROLES);
    for wanted in [
        "f<float , 4>(::emu::buffer<S::arg<0>>(t, 3), ::emu::buffer<S::arg<1>>(t, 0), \
         ::emu::buffer<S::arg<2>>(t, 2), ::emu::buffer_if<S::arg<3>>(t, 1, (has_c)), \
         ::emu::threadgroup_argument<S::arg<4>>(t, 0), \
         ::emu::attribute<S::arg<5>>(t.thread_position_in_grid), \
         ::emu::attribute<S::arg<6>>(t.thread_index_in_simdgroup));",
        "::emu::Kind::buffer, 1, \"c\", ::emu::Space::constant, true)",
        "template < typename T , int N > constexpr unsigned emu_max_threads_0 = (N * 32); template",
        "const unsigned emu_limit_1 = emu_max_threads_0<float , 4>;",
        // By its parameters, so that overloads are told apart.
        "static_cast<void (*)(half * a)>(&n::g<half>)(::emu::buffer<S::arg<0>>(t, 0));",
    ] {
        assert!(text.contains(wanted), "{text}\nlacks\n{wanted}");
    }
}

#[test]
fn only_the_kernels_that_are_asked_for_have_entries() {
    let unit = unit(ROLES);
    let text = unit.text(&["g_half"]).unwrap();
    assert!(
        text.contains("{\"g_half\", ::emu_entry_0") && !text.contains("f_float"),
        "{text}"
    );
    let error = unit.text(&["f_flot"]).unwrap_err();
    assert_eq!(error.what(), "k.metal has no kernel 'f_flot'");
    assert!(
        error.hints()[0].starts_with("the nearest are f_float"),
        "{error:?}"
    );
}

#[test]
fn kernels_in_namespaces_are_entered_there() {
    let unit = unit("namespace a { namespace b { kernel void k(device int* x) {} } }");
    let text = unit.text(&["k"]).unwrap();
    assert!(text.contains("{\"k\", ::a::b::emu_entry_0, "), "{text}");
}

#[test]
fn overloaded_kernels_are_told_apart_by_their_arguments() {
    let metal = "template <typename T, int N> kernel void k(device T* a, device T* b) {}\n\
                 template <typename T, typename U, int N> kernel void k(device T* a) {}\n\
                 template [[host_name(\"two\")]] [[kernel]] decltype(k<int, 4>) k<int, 4>;\n\
                 template [[host_name(\"one\")]] [[kernel]] decltype(k<int, int, 4>) k<int, int, 4>;";
    let unit = unit(metal);
    let count = |name: &str| unit.parameters(unit.export(name).unwrap()).len();
    assert_eq!((count("two"), count("one")), (2, 1));
}

#[test]
fn faults_of_a_kernels_parameters_are_named() {
    let kernel = |params: &str| format!("kernel\nvoid k({params}) {{}}");
    for (params, kind, words) in [
        (
            "device int* a [[buffer(1)]], device int* b [[buffer(1)]]",
            ErrorKind::Gate,
            "'a' and 'b' are both [[buffer(1)]]",
        ),
        (
            "threadgroup int* a [[threadgroup(0)]], threadgroup int* b [[threadgroup(0)]]",
            ErrorKind::Gate,
            "both [[threadgroup(0)]]",
        ),
        (
            "int n",
            ErrorKind::Gate,
            "'n' of a kernel is neither a buffer nor a position",
        ),
        (
            "int n [[buffer(0)]]",
            ErrorKind::Gate,
            "[[buffer]] belongs to a pointer",
        ),
        (
            "threadgroup int* n [[buffer(0)]]",
            ErrorKind::Gate,
            "[[buffer]] belongs to a pointer",
        ),
        (
            "device int* n [[threadgroup(0)]]",
            ErrorKind::Gate,
            "[[threadgroup]] belongs to",
        ),
        (
            "device int* n [[buffer(31)]]",
            ErrorKind::Gate,
            "takes a number from 0 to 30",
        ),
        (
            "device int* n [[buffer(N)]]",
            ErrorKind::Gate,
            "takes a number from 0 to 30",
        ),
        (
            "thread int* n",
            ErrorKind::Gate,
            "can't point into the thread address space",
        ),
        (
            "device uint* n [[thread_position_in_grid]]",
            ErrorKind::Gate,
            "belongs to a value",
        ),
        (
            "texture2d<float> t [[texture(0)]]",
            ErrorKind::Usage,
            "[[texture]], which the emulator",
        ),
        (
            "sampler s [[sampler(0)]]",
            ErrorKind::Usage,
            "[[sampler]], which the emulator",
        ),
        (
            "uint n [[thread_of_the_month]]",
            ErrorKind::Usage,
            "[[thread_of_the_month]], which the",
        ),
        (
            "uint n [[thread_index_in_simdgroup]] [[buffer(0)]]",
            ErrorKind::Gate,
            "[[buffer]] belongs to",
        ),
        (
            "device int* n [[buffer(0)]] [[raster_order_group(0)]]",
            ErrorKind::Usage,
            "has [[raster_order_group]] too",
        ),
        (
            "threadgroup int* n [[threadgroup(0), function_constant(c)]]",
            ErrorKind::Usage,
            "which is no buffer",
        ),
        ("device int*", ErrorKind::Usage, "without a name"),
    ] {
        refuses(&kernel(params), kind, 2, words);
    }
}

#[test]
fn there_are_no_more_indices_than_metal_has() {
    let kernel = |count: usize, space: &str| {
        let params: Vec<String> = (0..count).map(|i| format!("{space} int* p{i}")).collect();
        format!("kernel void k(\n{}) {{}}", params.join(",\n"))
    };
    for (space, what) in [
        ("device", "buffers"),
        ("threadgroup", "threadgroup parameters"),
    ] {
        assert_eq!(unit(&kernel(31, space)).exports().len(), 1);
        refuses(
            &kernel(32, space),
            ErrorKind::Gate,
            33,
            &format!("a kernel has 31 {what} at the most"),
        );
    }
}

#[test]
fn two_buffers_that_are_never_there_together_may_share_an_index() {
    let unit = unit(
        "kernel void k(device int* a [[buffer(1), function_constant(p)]], \
                     device float* b [[buffer(1), function_constant(q)]]) {}",
    );
    assert_eq!(unit.exports().len(), 1);
}

#[test]
fn instantiations_of_what_is_no_kernel_are_refused() {
    for (metal, kind, words) in [
        (
            "template <typename T> void f(T a) {}\ntemplate [[host_name(\"f\")]] [[kernel]] decltype(f<int>) f<int>;",
            ErrorKind::Gate,
            "'f' is no kernel",
        ),
        (
            "kernel void f() {}\ntemplate [[host_name(\"g\")]] [[kernel]] decltype(f<int>) f<int>;",
            ErrorKind::Gate,
            "'f' is no template",
        ),
        (
            "template <typename T> kernel void f(device T* a) {}\ntemplate [[kernel]] decltype(f<int>) f<int>;",
            ErrorKind::Usage,
            "needs [[host_name",
        ),
        (
            "template <typename T> kernel void f(device T* a) {}\ntemplate [[host_name(f)]] [[kernel]] decltype(f<int>) f<int>;",
            ErrorKind::Gate,
            "[[host_name]] takes a string",
        ),
        (
            "kernel void f() {} [[host_name(\"f\")]]\nkernel void g() {}",
            ErrorKind::Gate,
            "a second kernel with the name 'f'",
        ),
        (
            "template <typename T> kernel void f(device T* a) {} template <typename U> kernel void f(device U* a, device U* b) {}\ntemplate [[host_name(\"g\")]] [[kernel]] decltype(f<int>) f<int>;",
            ErrorKind::Usage,
            "several kernels are called 'f'",
        ),
    ] {
        refuses(metal, kind, 2, words);
    }
}
