// Copyright © 2026 The mlx-fork authors
//
// Every operation of a vector class, lane by lane, against what portable.h says
// of it. To be included where the compiler's target has the class's
// instructions, after the other headers: what these define must run anywhere.

#pragma once

#include "checks.h"
#include "guarded.h"
#include "numbers.h"

namespace kernel_tests {

template <typename S>
class Lanes {
 public:
  using F = typename S::F;
  using I = typename S::I;
  static constexpr int n = S::lanes;

  explicit Lanes(Checks& checks) : checks_(checks) {}

  void check() {
    arithmetic();
    choices();
    integers();
    places();
    sums();
    fields<3>(std::make_integer_sequence<int, 32 / n>{});
    fields<5>(std::make_integer_sequence<int, 32 / n>{});
    fields<6>(std::make_integer_sequence<int, 32 / n>{});
    nibbles(std::make_integer_sequence<int, 8>{});
  }

 private:
  static float any_float(Random& random) {
    constexpr float inf = std::numeric_limits<float>::infinity();
    constexpr float nan = std::numeric_limits<float>::quiet_NaN();
    const float special[] = {
        0.0f, -0.0f, inf, -inf, nan, 0x1p-149f, 0.5f, 1.5f, -2.5f, 3.0f};
    int i = random.between(0, 19);
    return i < 10 ? special[i] : random.signed_unit() * 1000.0f;
  }

  /** Lanes of floats, of their bits, or of both. */
  template <typename V>
  static void put(V v, float* p) {
    if constexpr (std::is_same_v<V, F>) {
      S::store(p, v);
    } else {
      S::store(p, S::as_float(v));
    }
  }

  static uint32_t bits_of(float v) {
    uint32_t bits;
    std::memcpy(&bits, &v, sizeof(bits));
    return bits;
  }

  void begin(const char* what) {
    checks_.begin(std::string(S::name) + " lanes: " + what);
  }

  /** op(a, b, c) lane by lane; want(a, b, c) for each. Floats by value. */
  template <typename Op, typename Want>
  void floats(const char* what, Op&& op, Want&& want) {
    begin(what);
    Random random(19);
    std::string wrong;
    for (int round = 0; round < 400 && wrong.empty(); ++round) {
      float in[3][n], got[n];
      for (auto& v : in) {
        for (auto& lane : v) {
          lane = any_float(random);
        }
      }
      put(op(S::load(in[0]), S::load(in[1]), S::load(in[2])), got);
      for (int l = 0; l < n && wrong.empty(); ++l) {
        float expected = want(in[0][l], in[1][l], in[2][l]);
        if (!same(got[l], expected)) {
          wrong = "of " + std::to_string(in[0][l]) + ", " +
              std::to_string(in[1][l]) + ", " + std::to_string(in[2][l]) +
              " is " + std::to_string(got[l]);
        }
      }
    }
    checks_.expect(wrong);
  }

  /** The same for words; results by their bits. */
  template <typename Op, typename Want>
  void words(const char* what, Op&& op, Want&& want, uint32_t mask = ~0u) {
    begin(what);
    Random random(23);
    std::string wrong;
    for (int round = 0; round < 100 && wrong.empty(); ++round) {
      uint32_t in[2][n];
      float got[n];
      for (auto& v : in) {
        for (auto& lane : v) {
          lane = static_cast<uint32_t>(random.next()) & mask;
        }
      }
      put(op(S::words(in[0]), S::words(in[1])), got);
      for (int l = 0; l < n && wrong.empty(); ++l) {
        if (bits_of(got[l]) != want(in[0][l], in[1][l])) {
          wrong = "of " + std::to_string(in[0][l]) + ", " +
              std::to_string(in[1][l]) + " has bits " +
              std::to_string(bits_of(got[l]));
        }
      }
    }
    checks_.expect(wrong);
  }

  void arithmetic() {
    floats(
        "add",
        [](F a, F b, F) { return S::add(a, b); },
        [](float a, float b, float) { return a + b; });
    floats(
        "sub",
        [](F a, F b, F) { return S::sub(a, b); },
        [](float a, float b, float) { return a - b; });
    floats(
        "mul",
        [](F a, F b, F) { return S::mul(a, b); },
        [](float a, float b, float) { return a * b; });
    floats(
        "div",
        [](F a, F b, F) { return S::div(a, b); },
        [](float a, float b, float) { return a / b; });
    floats(
        "fma",
        [](F a, F b, F c) { return S::fma(a, b, c); },
        [](float a, float b, float c) { return std::fma(a, b, c); });
    floats(
        "add after product",
        [](F a, F b, F c) { return S::add(S::product(a, b), c); },
        [](float a, float b, float c) { return a * b + c; });
    floats(
        "abs",
        [](F a, F, F) { return S::abs(a); },
        [](float a, float, float) { return std::abs(a); });
  }

  void choices() {
    floats(
        "min",
        [](F a, F b, F) { return S::min(a, b); },
        [](float a, float b, float) { return a < b ? a : b; });
    floats(
        "if_negative",
        [](F a, F b, F c) { return S::if_negative(a, b, c); },
        [](float a, float b, float c) { return a < 0.0f ? b : c; });
    floats(
        "if_nan",
        [](F a, F b, F c) { return S::if_nan(a, b, c); },
        [](float a, float b, float c) { return std::isnan(a) ? b : c; });
    floats(
        "if_less",
        [](F a, F b, F c) {
          return S::if_less(
              S::template right<1>(S::as_int(a)), 0x20000000, b, c);
        },
        [](float a, float b, float c) {
          return bits_of(a) >> 1 < 0x20000000 ? b : c;
        });
    floats(
        "or_ with the sign",
        [](F a, F, F) { return S::or_(a, S::set(-0.0f)); },
        [](float a, float, float) { return std::copysign(a, -1.0f); });
    floats(
        "to_int",
        [](F a, F, F) {
          // What no int32 can hold is anyone's.
          return S::to_float(S::to_int(S::if_nan(S::sub(a, a), S::zero(), a)));
        },
        [](float a, float, float) {
          // Of zeros the sign is lost.
          return std::isfinite(a) ? std::nearbyint(a) + 0.0f : 0.0f;
        });
  }

  void integers() {
    words(
        "and_",
        [](I a, I) { return S::and_(a, 0xff00ff0f); },
        [](uint32_t a, uint32_t) { return a & 0xff00ff0f; });
    words(
        "add of a number",
        [](I a, I) { return S::add(a, 0x7fffu); },
        [](uint32_t a, uint32_t) { return a + 0x7fff; });
    words(
        "add of words",
        [](I a, I b) { return S::add(a, b); },
        [](uint32_t a, uint32_t b) { return a + b; });
    words(
        "subtract",
        [](I a, I b) { return S::subtract(a, b); },
        [](uint32_t a, uint32_t b) { return a - b; });
    words(
        "right and left",
        [](I a, I b) {
          return S::add(
              S::add(S::template right<0>(a), S::template right<13>(a)),
              S::add(S::template left<0>(b), S::template left<31>(b)));
        },
        [](uint32_t a, uint32_t b) { return a + (a >> 13) + b + (b << 31); });
    words(
        "to_float",
        [](I a, I) { return S::as_int(S::to_float(a)); },
        [](uint32_t a, uint32_t) {
          return bits_of(static_cast<float>(static_cast<int32_t>(a)));
        });
    words(
        "bits",
        [](I, I) { return S::bits(0x89abcdef); },
        [](uint32_t, uint32_t) { return 0x89abcdefu; });
  }

  void places() {
    // Exactly as many values as may be read.
    Guarded memory(n * sizeof(float));
    float* p = memory.place<float>(n);
    for (int l = 0; l < n; ++l) {
      p[l] = static_cast<float>(l + 1);
    }
    for (int shift = 0; shift <= 5; ++shift) {
      begin("spread");
      float got[n];
      S::store(got, S::spread(p, S::spread(shift)));
      compare(got, [&](int l) { return p[l >> shift]; });
    }
    for (int some = 0; some < n; ++some) {
      begin("first");
      float got[n];
      S::store(got, S::first(S::load(p), some));
      compare(got, [&](int l) { return l < some ? p[l] : 0.0f; });
    }
  }

  template <typename Want>
  void compare(const float* got, Want&& want) {
    std::string wrong;
    for (int l = 0; l < n && wrong.empty(); ++l) {
      if (got[l] != want(l)) {
        wrong = "lane " + std::to_string(l) + " is " + std::to_string(got[l]) +
            ", not " + std::to_string(want(l));
      }
    }
    checks_.expect(wrong);
  }

  void sums() {
    begin("sums");
    Random random(29);
    std::string wrong;
    for (int round = 0; round < 50 && wrong.empty(); ++round) {
      float lanes[n];
      double exact = 0;
      for (auto& lane : lanes) {
        lane = random.signed_unit();
        exact += lane;
      }
      // The same vector four times, and alone at each place.
      F v = S::load(lanes), z = S::zero();
      const F all[4] = {v, v, v, v};
      float same_for_all[4], alone[4];
      S::sums(all, same_for_all);
      for (int i = 0; i < 4; ++i) {
        F one[4] = {z, z, z, z};
        one[i] = v;
        S::sums(one, alone);
        for (int j = 0; j < 4 && wrong.empty(); ++j) {
          if (alone[j] != (j == i ? same_for_all[0] : 0.0f)) {
            wrong = "the sums of vectors depend on each other or their place";
          }
        }
      }
      if (std::abs(same_for_all[0] - exact) > n * 0x1p-24 * n) {
        wrong = "a sum is " + std::to_string(same_for_all[0]) + ", not " +
            std::to_string(exact);
      }
    }
    checks_.expect(wrong);
  }

  /** Runs of 32 integers in exactly as many words as they take. */
  template <int bits, int... part>
  void fields(std::integer_sequence<int, part...>) {
    begin("fields");
    Random random(31);
    Guarded memory(bits * sizeof(uint32_t));
    for (int round = 0; round < 20; ++round) {
      auto run = memory.place<uint32_t>(bits);
      for (int i = 0; i < bits; ++i) {
        run[i] = static_cast<uint32_t>(random.next());
      }
      auto value = [&](int i) {
        uint64_t two = run[i * bits / 32];
        if (i * bits / 32 + 1 < bits) {
          two |= static_cast<uint64_t>(run[i * bits / 32 + 1]) << 32;
        }
        return float(two >> (i * bits % 32) & ((1 << bits) - 1));
      };
      float got[32];
      (S::store(got + part * n, S::template fields<bits, part * n>(run)), ...);
      for (int first = 0; first < 32; first += n) {
        compare(got + first, [&](int l) { return value(first + l); });
      }
    }
  }

  template <int... j>
  void nibbles(std::integer_sequence<int, j...>) {
    begin("e2m1");
    Random random(37);
    constexpr float sizes[] = {0, 0.5, 1, 1.5, 2, 3, 4, 6};
    for (int round = 0; round < 20; ++round) {
      uint32_t w[n];
      for (auto& word : w) {
        word = static_cast<uint32_t>(random.next());
      }
      float got[8][n];
      (S::store(got[j], S::template e2m1<j>(S::words(w))), ...);
      for (int i = 0; i < 8; ++i) {
        compare(got[i], [&](int l) {
          int code = w[l] >> (4 * i) & 15;
          return code & 8 ? -sizes[code & 7] : sizes[code & 7];
        });
      }
    }
  }

  Checks& checks_;
};

} // namespace kernel_tests
