import { openTexts } from "../base/language";

/** The texts of the operations page, in its language, and when they are there. A language is a file of its own, loaded when it is read. */
export const { t, ready } = openTexts({
  en: async () => (await import("./texts.en")).default,
  ko: async () => (await import("./texts.ko")).default,
});
