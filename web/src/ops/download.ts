// Gives a text to the reader as a file of this page's own: it never leaves the browser.

/** Saves a text under a name. */
export function download(name: string, type: string, text: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(new Blob([text], { type }));
  link.download = name;
  link.click();
  // The browser reads it a moment after the click.
  setTimeout(() => URL.revokeObjectURL(link.href), 60_000);
}

/** Writes a table as CSV (RFC 4180). It begins with a byte order mark, without which a spreadsheet doesn't take it for UTF-8. */
export function csv(rows: (string | number | null | undefined)[][]): string {
  const field = (value: string | number | null | undefined) => {
    const text = String(value ?? "");
    return /[",\r\n]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text;
  };
  return `\ufeff${rows.map((row) => `${row.map(field).join(",")}\r\n`).join("")}`;
}
