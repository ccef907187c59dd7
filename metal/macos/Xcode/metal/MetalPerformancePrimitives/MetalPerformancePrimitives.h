// Named by kernels; says nothing.
