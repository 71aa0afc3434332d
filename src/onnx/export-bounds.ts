/**
 * Largest relative distance (L2, per picture) of an exported file's outputs in ONNX Runtime from ours. float16 has
 * 11 bits: one rounding is 5e-4, and a network adds them up.
 */
export const exportBounds = { float32: 1e-4, float16: 5e-3 } as const;
