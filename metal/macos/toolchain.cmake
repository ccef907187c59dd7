# Builds for arm64 macOS elsewhere, with what stands in for Xcode in this folder.

set(CMAKE_SYSTEM_NAME Darwin)
set(CMAKE_SYSTEM_VERSION 23.0.0)
set(CMAKE_SYSTEM_PROCESSOR arm64)
set(CMAKE_OSX_SYSROOT "")
set(CMAKE_OSX_ARCHITECTURES arm64)

set(_kit ${CMAKE_CURRENT_LIST_DIR})
set(CMAKE_AR ${_kit}/bin/ar)
set(CMAKE_RANLIB ${_kit}/bin/ranlib)
# Nothing is installed, so that nothing is renamed.
set(CMAKE_INSTALL_NAME_TOOL ${CMAKE_COMMAND})

set(CMAKE_FRAMEWORK_PATH ${_kit}/frameworks)
set(CMAKE_FIND_ROOT_PATH_MODE_LIBRARY BOTH)
include_directories(SYSTEM ${_kit}/include)
# Packages name their frameworks by the folder of the Xcode that they were built with.
add_compile_options(-iframework ${_kit}/frameworks)
set(_link "-F${_kit}/frameworks -L${_kit}/lib -lobjc")
foreach(_kind EXE SHARED MODULE)
  set(CMAKE_${_kind}_LINKER_FLAGS_INIT ${_link})
endforeach()
