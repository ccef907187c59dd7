# Adds the Python bindings to `core` and the C++ tests to `tests`. Included at
# the end of MLX's top-level CMakeLists.txt, where both targets exist if they
# are built at all; variables of mlx/fused/CMakeLists.txt are out of scope here.

set(MLX_FUSED_DIR ${PROJECT_SOURCE_DIR}/mlx/fused)
include(${MLX_FUSED_DIR}/sources.cmake)

set(_mlx_fused_definitions)
set(_mlx_fused_bindings ${PROJECT_SOURCE_DIR}/python/src/fused.cpp)
set(_mlx_fused_tests ${PROJECT_SOURCE_DIR}/tests/fused_tests.cpp)
foreach(_feature ${MLX_FUSED_FEATURES})
  string(TOUPPER ${_feature} _definition)
  list(APPEND _mlx_fused_definitions MLX_FUSED_${_definition})
  list(APPEND _mlx_fused_bindings
       ${PROJECT_SOURCE_DIR}/python/src/${_feature}.cpp)
  list(APPEND _mlx_fused_tests
       ${PROJECT_SOURCE_DIR}/tests/${_feature}_tests.cpp)
endforeach()

if(TARGET core)
  target_sources(core PRIVATE ${_mlx_fused_bindings})
  set_source_files_properties(
    ${PROJECT_SOURCE_DIR}/python/src/fused.cpp TARGET_DIRECTORY core
    PROPERTIES COMPILE_DEFINITIONS "${_mlx_fused_definitions}")
endif()

if(TARGET tests)
  target_sources(tests PRIVATE ${_mlx_fused_tests})
endif()
