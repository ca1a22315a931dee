// A ticket as a calendar's entry (RFC 5545).

/** What a calendar is told of a show. Instants are as the API writes them. */
export interface Entry {
  /** A name that no other entry of any calendar has. */
  uid: string;
  /** When it was made. */
  stamp: string;
  startsAt: string;
  endsAt: string;
  title: string;
  place: string;
  text: string;
}

/** The most bytes of a line, without its end. */
const LINE_BYTES_MAX = 75;

/** Writes a file of one entry. */
export function calendarOf(entry: Entry): string {
  const lines = [
    "BEGIN:VCALENDAR",
    "VERSION:2.0",
    "PRODID:-//onsale//onsale//EN",
    "BEGIN:VEVENT",
    `UID:${text(entry.uid)}`,
    `DTSTAMP:${utc(entry.stamp)}`,
    `DTSTART:${utc(entry.startsAt)}`,
    `DTEND:${utc(entry.endsAt)}`,
    `SUMMARY:${text(entry.title)}`,
    `LOCATION:${text(entry.place)}`,
    `DESCRIPTION:${text(entry.text)}`,
    "END:VEVENT",
    "END:VCALENDAR",
  ];
  return lines.map((line) => `${folded(line)}\r\n`).join("");
}

function utc(instant: string): string {
  return new Date(instant).toISOString().replace(/[-:]|\.\d+/g, "");
}

/** Escapes what divides values; a line's end is written, and no other control character can be. */
function text(words: string): string {
  return words
    .replace(/[\\,;]/g, "\\$&")
    .replace(/\r\n?|\n/g, "\\n")
    .replace(/[\0-\x08\x0b-\x1f\x7f]/g, "");
}

/** Divides a line that is too long, never within a character: what goes on begins with a space, which counts. */
function folded(line: string): string {
  const encoder = new TextEncoder();
  let out = "";
  let bytes = 0;
  for (const letter of line) {
    const more = encoder.encode(letter).length;
    if (bytes + more > LINE_BYTES_MAX) {
      out += "\r\n ";
      bytes = 1;
    }
    out += letter;
    bytes += more;
  }
  return out;
}
