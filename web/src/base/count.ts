// Numbers of things. It stands alone, since the texts need it and nothing else: what they share with the pages is a file of its own.

/** Writes a whole number in the language of the page: `1,210`. */
export const count = (number: number): string => number.toLocaleString(document.documentElement.lang);
