// Included once by each isa_*.cpp: defines the table of the instruction set that the file is built for.
#pragma once

#include "cpu/isa.h"
#include "cpu/kernels/conv.h"
#include "cpu/kernels/elementwise.h"
#include "cpu/kernels/post_backward.h"
#include "cpu/kernels/post_forward.h"
#include "cpu/kernels/sums.h"
#include "cpu/kernels/weight_grad.h"
#include "cpu/kernels/winograd.h"

#define FCDD_DEFINE_ISA_TABLE(table, label)                   \
  namespace fcdd::cpu {                                       \
  extern const IsaTable table;                                \
  const IsaTable table = {                                    \
      .name = label,                                          \
      .panel = panel_width,                                   \
      .conv_panel = conv_panel_of<FloatProduct, false>,       \
      .product_panel = conv_panel_of<FloatProduct, true>,     \
      .weight_grad_panel = weight_grad_panel,                 \
      .winograd_input = winograd_input,                       \
      .winograd_output = winograd_output,                     \
      .winograd_gradient = winograd_gradient,                 \
      .winograd_weights = winograd_weights,                   \
      .winograd_weights_adjoint = winograd_weights_adjoint,   \
      .sums = sums,                                           \
      .moments = moments,                                     \
      .post_forward = post_forward,                           \
      .post_sums = post_sums,                                 \
      .post_gradient = post_gradient,                         \
      .fma_chains = fma_chains,                               \
      .flops_per_fma_iteration = 2 * lanes * fma_chain_count, \
      .axpy = axpy,                                           \
      .dot = dot,                                             \
      .sgd = sgd,                                             \
      .adam = adam,                                           \
  };                                                          \
  }
