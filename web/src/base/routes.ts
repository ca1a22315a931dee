// The part of openapi-fetch that the pages use. The build puts it in the package's place, whose options for everyone are a tenth of a page's
// script; the types stay the package's.

interface Asked {
  params?: {
    path?: Record<string, unknown>;
    query?: Record<string, unknown>;
    header?: Record<string, unknown>;
  };
  body?: unknown;
  signal?: AbortSignal;
}

/** The pairs that say something, as texts. */
const pairs = (values: Record<string, unknown> = {}): [string, string][] =>
  Object.entries(values).flatMap(([name, value]) => (value == null ? [] : [[name, String(value)]]));

export default function createClient({ baseUrl, fetch }: { baseUrl: string; fetch: (request: Request) => Promise<Response> }) {
  const route =
    (method: string) =>
    async (path: string, { params = {}, body, signal }: Asked = {}) => {
      const filled = path.replace(/\{(\w+)\}/g, (_, name: string) => encodeURIComponent(String(params.path?.[name])));
      const query = String(new URLSearchParams(pairs(params.query)));
      const headers = new Headers(pairs(params.header));
      const init: RequestInit = { method, headers, signal: signal ?? null };
      if (body !== undefined) {
        headers.set("content-type", "application/json");
        init.body = JSON.stringify(body);
      }
      const response = await fetch(new Request(baseUrl + filled + (query && `?${query}`), init));

      const text = await response.text();
      const read = () => (text ? JSON.parse(text) : undefined);
      if (response.ok) return { data: read(), response };
      try {
        return { error: read(), response };
      } catch {
        // What stands between may answer with a page of its own.
        return { error: text, response };
      }
    };
  return { GET: route("GET"), POST: route("POST"), PUT: route("PUT"), PATCH: route("PATCH"), DELETE: route("DELETE") };
}
