# The Python package: a nanobind module with the bindings that the fork compiles
# into mlx.core, and a few lines that put them there.

find_package(
  Python 3.9
  COMPONENTS Interpreter Development.Module
  OPTIONAL_COMPONENTS Development.SABIModule
  REQUIRED)
execute_process(
  COMMAND ${Python_EXECUTABLE} -m nanobind --cmake_dir
  OUTPUT_VARIABLE _nanobind
  OUTPUT_STRIP_TRAILING_WHITESPACE
  RESULT_VARIABLE _failed)
if(_failed)
  message(FATAL_ERROR "${Python_EXECUTABLE} has no nanobind: pip install nanobind")
endif()
find_package(nanobind CONFIG REQUIRED PATHS ${_nanobind} NO_DEFAULT_PATH)

set(_bindings ${_sources}/python/fused.cpp)
set(_definitions)
foreach(_feature IN LISTS MLX_FUSED_FEATURES)
  string(TOUPPER ${_feature} _definition)
  list(APPEND _definitions MLX_FUSED_${_definition})
  list(APPEND _bindings ${_sources}/python/${_feature}.cpp)
endforeach()

# Settings as for mlx.core: the domain lets both know the same types.
nanobind_add_module(
  mlx_fork_ext
  NB_STATIC
  STABLE_ABI
  LTO
  NOMINSIZE
  NB_DOMAIN
  mlx
  module.cpp
  ${_bindings})
set_source_files_properties(${_sources}/python/fused.cpp
                            PROPERTIES COMPILE_DEFINITIONS "${_definitions}")
target_link_libraries(mlx_fork_ext PRIVATE mlx_fused mlx_fork_c)
set_target_properties(
  mlx_fork_ext PROPERTIES OUTPUT_NAME _ext
                          INSTALL_RPATH "${_here}/../../lib;${_mlx_folder}")

set(MLX_FORK_MLX_VERSION ${MLX_VERSION})
configure_file(mlx_fork/_built.py.in mlx_fork/_built.py @ONLY)
install(TARGETS mlx_fork_ext LIBRARY DESTINATION python/mlx_fork)
install(FILES mlx_fork/__init__.py ${CMAKE_CURRENT_BINARY_DIR}/mlx_fork/_built.py
        DESTINATION python/mlx_fork)
