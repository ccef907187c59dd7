# The C++ sources of the fused primitives, listed once for the two ways to build
# them: inside MLX (CMakeLists.txt) and as an extension of an installed MLX.
#
# Reads MLX_FUSED_DIR (where the sources are), MLX_BUILD_CPU, MLX_BUILD_METAL
# and MLX_BUILD_CUDA. Sets MLX_FUSED_SOURCES, and MLX_FUSED_FEATURES to the
# primitives whose files are present.

set(MLX_FUSED_SOURCES
    ${MLX_FUSED_DIR}/build_id.cpp ${MLX_FUSED_DIR}/composition.cpp
    ${MLX_FUSED_DIR}/indexing.cpp ${MLX_FUSED_DIR}/path.cpp
    ${MLX_FUSED_DIR}/quantization.cpp ${MLX_FUSED_DIR}/weighted_sum.cpp)

if(MLX_BUILD_CPU)
  set(_mlx_fused_cpu cpu)
  foreach(
    _source
    kernels
    kernels_avx2
    kernels_avx512
    kernels_avx512_bf16
    kernels_neon
    kernels_portable
    pool
    processor
    qmm
    temporaries)
    list(APPEND MLX_FUSED_SOURCES ${MLX_FUSED_DIR}/backend/cpu/${_source}.cpp)
  endforeach()
else()
  set(_mlx_fused_cpu no_cpu)
  list(APPEND MLX_FUSED_SOURCES ${MLX_FUSED_DIR}/backend/no_cpu/processor.cpp
       ${MLX_FUSED_DIR}/backend/no_cpu/temporaries.cpp)
endif()

if(MLX_BUILD_METAL)
  set(_mlx_fused_gpu metal)
  foreach(_source dispatch launch temporaries)
    list(APPEND MLX_FUSED_SOURCES ${MLX_FUSED_DIR}/backend/metal/${_source}.cpp)
  endforeach()
elseif(MLX_BUILD_CUDA)
  set(_mlx_fused_gpu gpu)
  list(APPEND MLX_FUSED_SOURCES ${MLX_FUSED_DIR}/backend/cuda/temporaries.cpp)
else()
  set(_mlx_fused_gpu no_gpu)
  list(APPEND MLX_FUSED_SOURCES ${MLX_FUSED_DIR}/backend/no_gpu/temporaries.cpp)
endif()

set(MLX_FUSED_FEATURES)
foreach(_feature gather_qmm_swiglu gather_qmm_downproj_combine)
  if(EXISTS ${MLX_FUSED_DIR}/${_feature}.cpp)
    list(APPEND MLX_FUSED_FEATURES ${_feature})
    list(APPEND MLX_FUSED_SOURCES ${MLX_FUSED_DIR}/${_feature}.cpp
         ${MLX_FUSED_DIR}/backend/${_mlx_fused_cpu}/${_feature}.cpp
         ${MLX_FUSED_DIR}/backend/${_mlx_fused_gpu}/${_feature}.cpp)
  endif()
endforeach()
