#!/usr/bin/env node
/** Writes the golden files anew: finds a Python with PyTorch and runs make.py beside this file. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { findPython } from '../compare/python.mjs';

const python = findPython(['torch', 'numpy', 'sklearn', 'scipy']);
const done = spawnSync(python, [fileURLToPath(new URL('make.py', import.meta.url))], { stdio: 'inherit' });
process.exit(done.status ?? 1);
