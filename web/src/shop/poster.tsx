// A show's poster: rows of seats around a stage, drawn from its id, so that each show has its own and nothing is loaded.

/** A number of 32 bits for a text (FNV-1a). */
function numberOf(text: string): number {
  let number = 0x811c9dc5;
  for (const byte of new TextEncoder().encode(text)) number = Math.imul(number ^ byte, 0x01000193) >>> 0;
  return number;
}

/** Returns numbers from 0 to 1, the same for the same seed (mulberry32). */
function randomOf(seed: number): () => number {
  return () => {
    seed = (seed + 0x6d2b79f5) >>> 0;
    let mixed = Math.imul(seed ^ (seed >>> 15), seed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}

export function Poster(props: { id: string }) {
  const random = randomOf(numberOf(props.id));
  const [tilt, middle, spread] = [random() * 70 - 35, 20 + random() * 60, 0.5 + random() * 0.4];
  const arcs = Array.from({ length: 11 }, (_, line) => {
    const radius = 14 + line * 8.5;
    const begin = -spread * (0.55 + random() * 0.45);
    const end = spread * (0.55 + random() * 0.45);
    const point = (turn: number) => {
      const angle = turn * Math.PI + Math.PI / 2;
      return `${(middle + radius * Math.cos(angle)).toFixed(1)} ${(6 + radius * Math.sin(angle)).toFixed(1)}`;
    };
    const isLit = random() < 0.3;
    return (
      <path
        key={line}
        class={isLit ? "lit" : undefined}
        d={`M${point(begin)} A${radius} ${radius} 0 ${end - begin > 1 ? 1 : 0} 1 ${point(end)}`}
      />
    );
  });
  return (
    <svg class="poster" viewBox="0 0 100 120" preserveAspectRatio="xMidYMid slice" aria-hidden="true">
      <g transform={`rotate(${tilt.toFixed(1)} 50 60)`} fill="none" stroke-width="3.4" stroke-linecap="round">
        {arcs}
      </g>
    </svg>
  );
}
