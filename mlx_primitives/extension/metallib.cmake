# The kernels of the extension: a metallib beside the library, which the library
# finds by its own place. MLX's mlx_build_metallib knows no deployment target, and
# a metallib made for the newest macOS does not load on others.

set(MLX_FUSED_KERNELS ${_sources}/../metal)
file(MAKE_DIRECTORY ${MLX_FUSED_INCLUDE}/mlx/backend/metal/kernels)
file(CREATE_LINK ${MLX_FUSED_KERNELS}/fused
     ${MLX_FUSED_INCLUDE}/mlx/backend/metal/kernels/fused SYMBOLIC)

set(_metal_flags -x metal -Wall -Wextra -fno-fast-math -Wno-c++17-extensions)
set(_metal_link_flags)
if(CMAKE_OSX_DEPLOYMENT_TARGET)
  set(_metal_link_flags -mmacosx-version-min=${CMAKE_OSX_DEPLOYMENT_TARGET})
  list(APPEND _metal_flags ${_metal_link_flags})
endif()
foreach(_folder IN LISTS MLX_FUSED_INCLUDE MLX_INCLUDE_DIRS)
  if(_folder)
    list(APPEND _metal_flags -I${_folder})
  endif()
endforeach()

file(GLOB _kernel_headers CONFIGURE_DEPENDS ${MLX_FUSED_KERNELS}/fused/*.h)
set(_air)
foreach(_feature IN LISTS MLX_FUSED_FEATURES)
  set(_kernel ${MLX_FUSED_KERNELS}/${_feature}.metal)
  add_custom_command(
    OUTPUT ${_feature}.air
    COMMAND xcrun -sdk macosx metal ${_metal_flags} -c ${_kernel} -o
            ${_feature}.air
    DEPENDS ${_kernel} ${_kernel_headers}
    COMMENT "Building ${_feature}.air"
    VERBATIM)
  list(APPEND _air ${_feature}.air)
endforeach()

add_custom_command(
  OUTPUT mlx_fused.metallib
  COMMAND xcrun -sdk macosx metal ${_metal_link_flags} ${_air} -o
          mlx_fused.metallib
  DEPENDS ${_air}
  COMMENT "Building mlx_fused.metallib"
  VERBATIM)
add_custom_target(mlx_fused_metallib ALL DEPENDS mlx_fused.metallib)
install(FILES ${CMAKE_CURRENT_BINARY_DIR}/mlx_fused.metallib DESTINATION lib)

set_source_files_properties(
  ${MLX_FUSED_DIR}/backend/metal/dispatch.cpp
  PROPERTIES COMPILE_DEFINITIONS MLX_FUSED_METALLIB="mlx_fused.metallib")
