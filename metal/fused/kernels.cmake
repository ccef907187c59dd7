# The kernels of the fused primitives. Included by MLX's list of kernels, in
# whose scope build_kernel collects what goes into mlx.metallib; outside of what
# is left to the JIT, so that both kinds of build have them.

foreach(_kernel gather_qmm_swiglu gather_qmm_downproj_combine)
  if(EXISTS ${CMAKE_CURRENT_SOURCE_DIR}/${_kernel}.metal)
    build_kernel(
      ${_kernel}
      fused/dots.h
      fused/elementwise.h
      fused/format.h
      fused/instantiate.h
      fused/operands.h
      fused/params.h
      fused/${_kernel}.h)
  endif()
endforeach()
