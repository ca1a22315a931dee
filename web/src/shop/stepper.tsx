// A number that is stepped up and down.

export function Stepper(props: {
  value: number;
  least: number;
  most: number;
  /** What is counted, for who doesn't see where it stands. */
  label: string;
  fewer: string;
  more: string;
  /** How the number is written. */
  text: string;
  onChange: (value: number) => void;
  id?: string;
}) {
  const { value, least, most, onChange } = props;
  return (
    <div class="stepper" role="group" aria-label={props.label} id={props.id}>
      <button
        type="button"
        aria-label={props.fewer}
        aria-disabled={value <= least}
        onClick={() => onChange(Math.max(least, value - 1))}
      >
        −
      </button>
      <output>{props.text}</output>
      <button type="button" aria-label={props.more} aria-disabled={value >= most} onClick={() => value < most && onChange(value + 1)}>
        +
      </button>
    </div>
  );
}
