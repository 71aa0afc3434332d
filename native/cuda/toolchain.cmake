# Looks for nvcc and, where it works, enables CUDA for the whole project: sets FCDD_CUDA_FOUND and the list
# FCDD_CUDA_TARGETS of architectures. Without nvcc it says so in one line and costs no time.
set(FCDD_CUDA AUTO CACHE STRING "Build libfcdd_cuda.so: AUTO (when nvcc is found), ON (fail without it) or OFF")
set_property(CACHE FCDD_CUDA PROPERTY STRINGS AUTO ON OFF)
set(FCDD_CUDA_ARCHITECTURES "" CACHE STRING
  "GPU architectures, e.g. 80-real;90a-real (empty: all the compiler knows; local: this machine's GPUs)")

# Sets CMAKE_CUDA_COMPILER when nvcc is named by CUDACXX, CUDA_HOME, CUDA_PATH or PATH, or lies in CUDA's default folder,
# and compiles. (CMake's own test comes only when there is something to test.)
macro(fcdd_find_nvcc)
  if(NOT CMAKE_CUDA_COMPILER AND NOT DEFINED ENV{CUDACXX})
    find_program(FCDD_NVCC nvcc HINTS $ENV{CUDA_HOME}/bin $ENV{CUDA_PATH}/bin PATHS /usr/local/cuda/bin /opt/cuda/bin)
    mark_as_advanced(FCDD_NVCC)
    if(FCDD_NVCC)
      set(ENV{CUDACXX} ${FCDD_NVCC})
    endif()
  endif()
  if(NOT CMAKE_CUDA_COMPILER AND DEFINED ENV{CUDACXX})
    include(CheckLanguage)
    check_language(CUDA)
  endif()
endmacro()

# Those of our architectures that nvcc knows. 75 has the float32 path only; 80 also carries PTX for GPUs to come.
function(fcdd_known_architectures result)
  execute_process(COMMAND ${CMAKE_CUDA_COMPILER} --list-gpu-arch OUTPUT_VARIABLE known ERROR_QUIET)
  set(chosen "")
  foreach(architecture 75-real 80 86-real 87-real 89-real 90a-real 100-real 120-real)
    string(REGEX MATCH "^[0-9]+" number ${architecture})
    if(known MATCHES "compute_${number}[^0-9]")
      list(APPEND chosen ${architecture})
    endif()
  endforeach()
  set(${result} ${chosen} PARENT_SCOPE)
endfunction()

# Those of this machine's GPUs; without one 80 and its PTX, which every later GPU's driver can compile. All of them take
# minutes, which somebody who installs from source should not wait for.
function(fcdd_local_architectures result)
  execute_process(COMMAND nvidia-smi --query-gpu=compute_cap --format=csv,noheader
    OUTPUT_VARIABLE found ERROR_QUIET RESULT_VARIABLE failed)
  string(REGEX MATCHALL "[0-9]+\\.[0-9]" found "${found}")
  set(chosen "")
  foreach(capability ${found})
    string(REPLACE "." "" number ${capability})
    list(APPEND chosen ${number}-real)
  endforeach()
  list(REMOVE_DUPLICATES chosen)
  if(failed OR NOT chosen)
    set(chosen 80)
  endif()
  set(${result} ${chosen} PARENT_SCOPE)
endfunction()

set(FCDD_CUDA_FOUND FALSE)
if(NOT FCDD_CUDA STREQUAL "OFF" AND NOT FCDD_SANITIZE)
  fcdd_find_nvcc()
  if(CMAKE_CUDA_COMPILER)
    set(FCDD_CUDA_FOUND TRUE)
  elseif(FCDD_CUDA STREQUAL "ON")
    message(FATAL_ERROR "FCDD_CUDA=ON, but no working nvcc was found: set CUDA_HOME or CUDACXX, or FCDD_CUDA=OFF")
  else()
    message(STATUS "CUDA: no working nvcc, so no libfcdd_cuda.so; the cpu device is built as always")
  endif()
endif()

if(FCDD_CUDA_FOUND)
  set(CMAKE_CUDA_ARCHITECTURES OFF)  # each target names its own
  enable_language(CUDA)
  if(NOT DEFINED CMAKE_CUDA20_STANDARD_COMPILE_OPTION)  # a CMake that is older than this nvcc
    set(CMAKE_CUDA20_STANDARD_COMPILE_OPTION -std=c++20)
    set(CMAKE_CUDA20_EXTENSION_COMPILE_OPTION -std=c++20)
  endif()
  set(FCDD_CUDA_TARGETS ${FCDD_CUDA_ARCHITECTURES})
  if(NOT FCDD_CUDA_TARGETS)
    fcdd_known_architectures(FCDD_CUDA_TARGETS)
  elseif(FCDD_CUDA_TARGETS STREQUAL "local")
    fcdd_local_architectures(FCDD_CUDA_TARGETS)
  endif()
  message(STATUS "CUDA: libfcdd_cuda.so by nvcc ${CMAKE_CUDA_COMPILER_VERSION} for ${FCDD_CUDA_TARGETS}")
endif()

# Our options for CUDA sources: no contraction, warnings as errors, the runtime linked in.
function(fcdd_cuda_options target)
  set_target_properties(${target} PROPERTIES
    CUDA_ARCHITECTURES "${FCDD_CUDA_TARGETS}" CUDA_STANDARD 20 CUDA_STANDARD_REQUIRED ON CUDA_RUNTIME_LIBRARY Static CUDA_VISIBILITY_PRESET hidden)
  target_compile_options(${target} PRIVATE
    "$<$<COMPILE_LANGUAGE:CUDA>:--expt-relaxed-constexpr;-fmad=false;-Xcompiler=-ffp-contract=off,-Wall,-Wextra>")
  if(FCDD_WERROR)
    target_compile_options(${target} PRIVATE "$<$<COMPILE_LANGUAGE:CUDA>:SHELL:-Werror all-warnings>")
  endif()
endfunction()
