/** `node:crypto` as CommonJS asks for it. */
// oxlint-disable-next-line import/no-default-export -- as the module that it stands for
export * as default from './crypto.ts';
