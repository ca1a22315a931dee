// What stands between a client and a server, and fails as it is told: a lost answer, a line that breaks, a proxy that refuses.
import { createServer, request as ask } from "node:http";

export class Between {
  /** What becomes of the next requests, in order; what isn't listed is passed on. */
  #faults = [];
  /** The requests that came: method, path, idempotency key, the event behind which a stream goes on. */
  seen = [];
  /** The headers of the answers that were passed on whole. */
  answers = [];

  static async before(target) {
    const between = new Between();
    between.target = new URL(target);
    between.server = createServer((request, response) => between.#serve(request, response));
    await new Promise((resolve) => between.server.listen(0, "127.0.0.1", resolve));
    between.url = `http://127.0.0.1:${between.server.address().port}`;
    return between;
  }

  async stop() {
    this.server.closeAllConnections();
    await new Promise((resolve) => this.server.close(resolve));
  }

  /**
   * Says what becomes of the next requests: `unread` hangs up before the body was read, `unanswered` once the server has done it, `half` in the
   * middle of its answer, `after(n)` once n events of a stream were passed on; an object is an answer in the server's place.
   */
  next(...faults) {
    this.#faults.push(...faults);
    [this.seen, this.answers] = [[], []];
  }

  keys() {
    return new Set(this.seen.map(({ key }) => key));
  }

  async #serve(request, response) {
    const { method, url, headers } = request;
    this.seen.push({ method, path: url, key: headers["idempotency-key"], lastId: headers["last-event-id"] });
    const fault = this.#faults.shift();
    const hangUp = () => request.socket.destroy();
    if (fault === "unread") return hangUp();
    if (fault?.status) return response.writeHead(fault.status, fault.headers).end(fault.body);

    const onward = ask(new URL(url, this.target), { method, headers: { ...headers, host: this.target.host }, agent: false }, (answer) => {
      if (fault === "unanswered") return answer.resume().on("end", hangUp);
      response.writeHead(answer.statusCode, answer.headers);
      if (fault === "half") return answer.on("data", (part) => response.write(part.subarray(0, part.length / 2), hangUp));
      if (fault?.events) return cut(answer, response, fault.events, hangUp);
      this.answers.push(answer.headers);
      answer.pipe(response);
    });
    response.on("close", () => onward.destroy());
    onward.on("error", hangUp);
    request.pipe(onward);
  }
}

/** A stream that breaks behind some events. */
export const after = (events) => ({ events });

/** Passes events on, and hangs up in the middle of the one that follows. */
function cut(answer, response, events, hangUp) {
  let [text, sent] = ["", 0];
  answer.setEncoding("utf8").on("data", (part) => {
    text += part;
    const ends = [...text.matchAll(/\ndata:.*\n\n/g)].map(({ index, 0: end }) => index + end.length);
    const isOver = ends.length > events;
    const end = isOver ? ends[events - 1] + 7 : (ends[events - 1] ?? text.length);
    if (isOver) answer.removeAllListeners("data");
    response.write(text.slice(sent, end), isOver ? hangUp : undefined);
    sent = end;
  });
}
