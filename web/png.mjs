// Makes a picture of few colours out of a browser's screenshot: a third of its bytes, and nothing that one sees.
import { deflateSync, inflateSync } from "node:zlib";

const SIGNATURE = Buffer.from([0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a]);
/** So many colours have an index of one byte. */
const COLOURS_MAX = 256;

/** Writes a screenshot with the 256 colours that it has most of. Others become the nearest of them. */
export function withFewColours(png) {
  const { width, height, channels, rows } = unpack(png);
  const colourAt = (row, x) => (row[x * channels] << 16) | (row[x * channels + 1] << 8) | row[x * channels + 2];
  const counts = new Map();
  for (const row of rows) for (let x = 0; x < width; x++) counts.set(colourAt(row, x), (counts.get(colourAt(row, x)) ?? 0) + 1);
  const palette = [...counts].sort((a, b) => b[1] - a[1]).slice(0, COLOURS_MAX).map(([colour]) => colour);

  const nearest = new Map(palette.map((colour, index) => [colour, index]));
  const parts = (colour) => [colour >> 16, (colour >> 8) & 255, colour & 255];
  const far = (a, b) => parts(a).reduce((sum, part, index) => sum + (part - parts(b)[index]) ** 2, 0);
  for (const colour of counts.keys()) {
    if (!nearest.has(colour)) nearest.set(colour, palette.reduce((best, other, index) => (far(colour, other) < far(colour, palette[best]) ? index : best), 0));
  }

  const lines = rows.map((row) => Buffer.from([0, ...Array.from({ length: width }, (_, x) => nearest.get(colourAt(row, x)))]));
  const header = Buffer.alloc(13);
  header.writeUInt32BE(width, 0);
  header.writeUInt32BE(height, 4);
  // Eight bits a pixel, of a palette.
  header.set([8, 3, 0, 0, 0], 8);
  const data = deflateSync(Buffer.concat(lines), { level: 9, memLevel: 9 });
  return Buffer.concat([SIGNATURE, chunk("IHDR", header), chunk("PLTE", Buffer.from(palette.flatMap(parts))), chunk("IDAT", data), chunk("IEND", Buffer.alloc(0))]);
}

/** Reads a PNG of 8 bits a channel without a palette, as browsers write them. */
function unpack(png) {
  const data = [];
  let header;
  for (let at = SIGNATURE.length; at < png.length; ) {
    const length = png.readUInt32BE(at);
    const kind = png.toString("latin1", at + 4, at + 8);
    const body = png.subarray(at + 8, at + 8 + length);
    if (kind === "IHDR") header = body;
    if (kind === "IDAT") data.push(body);
    at += length + 12;
  }
  const [width, height, depth, type] = [header.readUInt32BE(0), header.readUInt32BE(4), header[8], header[9]];
  const channels = { 2: 3, 6: 4 }[type];
  if (depth !== 8 || !channels) throw new Error("not a browser's screenshot");

  const bytes = inflateSync(Buffer.concat(data));
  const stride = width * channels;
  const rows = [];
  let above = new Uint8Array(stride);
  for (let y = 0; y < height; y++) {
    const from = y * (stride + 1);
    above = unfilter(bytes[from], bytes.subarray(from + 1, from + 1 + stride), above, channels);
    rows.push(above);
  }
  return { width, height, channels, rows };
}

/** Undoes the filter of a line (PNG specification, section 9). */
function unfilter(filter, line, above, channels) {
  const row = new Uint8Array(line.length);
  for (let i = 0; i < line.length; i++) {
    const [left, up, corner] = [row[i - channels] ?? 0, above[i], above[i - channels] ?? 0];
    const guess = [0, left, up, (left + up) >> 1, paeth(left, up, corner)][filter];
    row[i] = line[i] + guess;
  }
  return row;
}

function paeth(left, up, corner) {
  const [a, b, c] = [Math.abs(up - corner), Math.abs(left - corner), Math.abs(left + up - 2 * corner)];
  return a <= b && a <= c ? left : b <= c ? up : corner;
}

function chunk(kind, body) {
  const named = Buffer.concat([Buffer.from(kind, "latin1"), body]);
  const framed = Buffer.alloc(named.length + 8);
  framed.writeUInt32BE(body.length, 0);
  named.copy(framed, 4);
  framed.writeUInt32BE(crc32(named), named.length + 4);
  return framed;
}

function crc32(bytes) {
  let sum = 0xffffffff;
  for (const byte of bytes) {
    sum ^= byte;
    for (let bit = 0; bit < 8; bit++) sum = (sum >>> 1) ^ (sum & 1 ? 0xedb88320 : 0);
  }
  return ~sum >>> 0;
}
