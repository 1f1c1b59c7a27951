/** In the place of a package that nobody calls. */
export {};
