import { createRequire } from 'node:module';
import { cpus } from 'node:os';
import sharp from 'sharp';
import type { DeviceInfo } from '../engine/types.js';

const manifest = createRequire(import.meta.url)('../../package.json') as { name: string; version: string };

export const packageVersion = manifest.version;

/** What a result depends on besides its configuration; part of config.json and of benchmark files. */
export function versions(info: DeviceInfo): Record<string, string | number> {
  return {
    [manifest.name]: manifest.version,
    node: process.versions.node,
    sharp: sharp.versions.sharp ?? 'unknown',
    libvips: sharp.versions.vips,
    device: info.name,
    isa: info.isa,
    threads: info.threads,
    cpu: cpus()[0]?.model.trim() ?? 'unknown',
  };
}
