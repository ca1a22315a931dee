// The server's clock, by which deadlines count.
//
// An answer's `Date` has whole seconds: the server's instant lies in the second that it names. Each answer so bounds how far this
// machine's clock is off, and many answers bound it to some milliseconds.

export class Clock {
  /** The bounds of what is added to this machine's clock, in milliseconds. */
  private low = -Infinity;
  private high = Infinity;

  /** Learns from an answer's `Date`: when it was asked for and when it came, by this machine's clock. */
  learn(date: string | null, askedAt: number, cameAt: number): void {
    const second = date === null ? NaN : Date.parse(date);
    if (Number.isNaN(second)) return;
    const [low, high] = [second - cameAt, second + 1000 - askedAt];
    // No overlap: one of the clocks was set, or this machine was suspended. What was known is of before.
    const isNew = low > this.high || high < this.low;
    this.low = isNew ? low : Math.max(low, this.low);
    this.high = isNew ? high : Math.min(high, this.high);
  }

  /** The instant by the server's clock, in milliseconds since 1970; by this machine's before the first answer. */
  now(): number {
    return Date.now() + (Number.isFinite(this.low) ? (this.low + this.high) / 2 : 0);
  }
}
