// Builds the pages into `dist/`: a script and a style for each, named by their hash, with their compressed forms beside them.
//
//   node build.mjs           builds
//   node build.mjs --check   fails if `dist/` isn't what the sources give, or a page is larger than its budget
//   node build.mjs --watch   builds at each change of a source
//
// The same sources give the same files: versions are pinned, and names depend on contents alone. Compressed forms may differ
// between versions of node, so a check unpacks them.
import { existsSync, mkdirSync, readFileSync, readdirSync, rmSync, watch, writeFileSync } from "node:fs";
import { createHash } from "node:crypto";
import { dirname, join, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { brotliCompressSync, brotliDecompressSync, constants, gunzipSync, gzipSync } from "node:zlib";
import { build } from "esbuild";

const root = dirname(fileURLToPath(import.meta.url));
const dist = join(root, "dist");

/**
 * The pages: the file that is served, the folder of its sources, the most bytes that the script with which it begins may have compressed, and
 * the most of all that it loads later.
 */
const PAGES = [
  { page: "index.html", folder: "shop", scriptBytesMax: 40_000, laterBytesMax: 8_000 },
  { page: "ops.html", folder: "ops", scriptBytesMax: 80_000, laterBytesMax: 12_000 },
];
/** The most bytes of all scripts and styles together, compressed. */
const ALL_BYTES_MAX = 200_000;

/** Makes the files of `dist/` in memory: contents by name. */
async function make() {
  const files = new Map();
  const icon = readFileSync(join(root, "src/base/icon.svg"));
  const iconName = `assets/icon-${createHash("sha256").update(icon).digest("hex").slice(0, 8)}.svg`;
  files.set(iconName, icon);

  const inputs = new Set();
  for (const { page, folder } of PAGES) {
    // A page of its own, so that a text or a part that only another page uses isn't in it.
    const { outputFiles, metafile } = await build({
      absWorkingDir: root,
      entryPoints: [{ in: `src/${folder}/main.tsx`, out: folder }],
      outdir: "dist/assets",
      entryNames: "[name]-[hash]",
      chunkNames: `${folder}.[name]-[hash]`,
      bundle: true,
      splitting: true,
      minify: true,
      format: "esm",
      target: ["es2022", "safari16.4"],
      jsx: "automatic",
      jsxImportSource: "preact",
      alias: { "openapi-fetch": "./src/base/routes.ts" },
      charset: "utf8",
      legalComments: "none",
      metafile: true,
      write: false,
      logLevel: "warning",
    });
    for (const input of Object.keys(metafile.inputs)) inputs.add(input);

    const outputs = Object.entries(metafile.outputs);
    const [script, { cssBundle, imports }] = outputs.find(([, { entryPoint }]) => entryPoint === `src/${folder}/main.tsx`);
    const served = (path) => path.replace(/^dist/, "");
    for (const file of outputFiles) {
      const name = relative(dist, file.path);
      // The style of what is loaded later is that of the page, which has it already.
      if (!name.endsWith(".css") || join("dist", name) === cssBundle) files.set(name, Buffer.from(file.contents));
    }
    // What the script begins with is asked for together with it.
    const early = imports
      .filter(({ kind }) => kind === "import-statement")
      .map(({ path }) => `<link rel="modulepreload" href="${served(path)}">\n`);
    const names = { script: served(script), style: served(cssBundle), icon: `/${iconName}`, early: early.join("") };
    const template = readFileSync(join(root, "src", folder, "page.html"), "utf8");
    files.set(
      page,
      Buffer.from(
        template.replace(/\{(\w+)\}\n?/g, (found, name) => names[name] + (found.endsWith("\n") && name !== "early" ? "\n" : "")),
      ),
    );
  }
  files.set("assets/licenses.txt", licenses(inputs));
  return files;
}

/** The licences of the packages whose code is in the scripts. */
function licenses(inputs) {
  const folders = [...inputs].map((path) => /^node_modules\/(?:@[^/]+\/)?[^/]+/.exec(path)?.[0]);
  const used = [...new Set(folders.filter(Boolean))].sort();
  const texts = used.map((folder) => {
    const { name, version } = JSON.parse(readFileSync(join(root, folder, "package.json"), "utf8"));
    const file = readdirSync(join(root, folder)).find((file) => /^licen[cs]e/i.test(file));
    const text = file ? readFileSync(join(root, folder, file), "utf8") : "";
    return `${name} ${version}\n\n${text.trim()}\n`;
  });
  return Buffer.from(texts.join("\n----\n\n"));
}

const brotli = (bytes) =>
  brotliCompressSync(bytes, {
    params: { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length },
  });
const gzip = (bytes) => gzipSync(bytes, { level: 9 });

/**
 * Says how large each page is, and whether one is larger than it may be. A reader loads one language: the largest counts. What is imported
 * later has a name of its own; what is shared isn't counted as that.
 */
function measure(files) {
  let all = 0;
  let tooLarge = false;
  for (const { folder, scriptBytesMax, laterBytesMax } of PAGES) {
    const own = [...files.keys()].filter((name) => name.startsWith(`assets/${folder}-`) || name.startsWith(`assets/${folder}.`));
    const sizes = (wanted) => own.filter(wanted).map((name) => brotli(files.get(name)).length);
    const sum = (numbers) => numbers.reduce((sum, number) => sum + number, 0);
    const isScript = (name) => name.endsWith(".js");
    const isLanguage = (name) => name.startsWith(`assets/${folder}.texts.`);
    const isFirst = (name) => name.startsWith(`assets/${folder}-`) || name.startsWith(`assets/${folder}.chunk-`);
    const scripts = sizes((name) => isScript(name) && isFirst(name));
    const later = sum(sizes((name) => isScript(name) && !isFirst(name) && !isLanguage(name)));
    const languages = sizes(isLanguage);
    const styles = sizes((name) => name.endsWith(".css"));
    const script = sum(scripts) + Math.max(...languages);
    all += sum(scripts) + later + sum(languages) + sum(styles);
    tooLarge ||= script > scriptBytesMax || later > laterBytesMax;
    console.log(`${folder}: script ${script} of ${scriptBytesMax} bytes, later ${later} of ${laterBytesMax}, style ${sum(styles)}`);
  }
  tooLarge ||= all > ALL_BYTES_MAX;
  if (tooLarge) console.error("a page is larger than its budget");
  return !tooLarge;
}

function write(files) {
  rmSync(dist, { recursive: true, force: true });
  mkdirSync(join(dist, "assets"), { recursive: true });
  for (const [name, bytes] of files) {
    writeFileSync(join(dist, name), bytes);
    writeFileSync(join(dist, `${name}.br`), brotli(bytes));
    writeFileSync(join(dist, `${name}.gz`), gzip(bytes));
  }
}

/** Says what of `dist/` isn't what the sources give. */
function differences(files) {
  const found = new Set(
    readdirSync(dist, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => relative(dist, join(entry.parentPath ?? entry.path, entry.name))),
  );
  const wrong = [];
  for (const [name, bytes] of files) {
    for (const [ending, unpack] of [
      ["", (is) => is],
      [".br", brotliDecompressSync],
      [".gz", gunzipSync],
    ]) {
      const is = found.delete(name + ending) ? unpack(readFileSync(join(dist, name + ending))) : undefined;
      if (!is?.equals(bytes)) wrong.push(name + ending);
    }
  }
  return [...wrong, ...found];
}

const mode = process.argv[2];
if (mode === "--check") {
  const files = await make();
  const wrong = differences(files);
  if (wrong.length > 0) console.error(`web/dist isn't what the sources give; run web/build. It differs in: ${wrong.join(", ")}`);
  if (!measure(files) || wrong.length > 0) process.exit(1);
} else if (mode === "--watch") {
  let due;
  const again = async () => {
    try {
      write(await make());
      console.log(new Date().toLocaleTimeString(), "built");
    } catch (error) {
      console.error(error.message);
    }
  };
  await again();
  for (const sources of ["src", "client/src"]) {
    watch(join(root, sources), { recursive: true }, () => {
      clearTimeout(due);
      due = setTimeout(again, 100);
    });
  }
} else {
  const files = await make();
  if (!existsSync(dist)) mkdirSync(dist);
  write(files);
  if (!measure(files)) process.exit(1);
}
