// Included once by each isa_*.cpp: defines the table of the instruction set that the file is built for.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/elementwise.h"

#define FCDD_DEFINE_ISA_TABLE(table, label) \
  namespace fcdd::cpu {                     \
  extern const IsaTable table;              \
  const IsaTable table = {                  \
      .name = label,                        \
      .axpy = axpy,                         \
      .dot = dot,                           \
      .sgd = sgd,                           \
      .adam = adam,                         \
  };                                        \
  }
