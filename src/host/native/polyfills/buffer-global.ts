import { Buffer } from './buffer.ts';

Object.assign(globalThis, { Buffer });
