/** `node:crypto` as CommonJS asks for it. */
export * as default from './crypto.ts';
