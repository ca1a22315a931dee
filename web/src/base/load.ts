// What a component reads from the server, and reads again.
import { type Signal, useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import { isOnline, isRefusal, type Refusal } from "./api";

/** What a component reads: null while it is on its way. */
export interface Loaded<T> {
  value: Signal<T | Refusal | null>;
  again: () => Promise<void>;
}

/** Reads something when a component comes, and again when it depends on something else or the line is back. */
export function useLoaded<T>(read: () => Promise<T | Refusal>, dependsOn: unknown[]): Loaded<T> {
  const value = useSignal<T | Refusal | null>(null);
  const again = async () => {
    const answer = await read();
    // What is shown isn't taken away by a lost line.
    if (!isRefusal(answer) || value.value === null || isRefusal(value.value)) value.value = answer;
  };
  useEffect(() => {
    let isGone = false;
    value.value = null;
    void read().then((answer) => {
      if (!isGone) value.value = answer;
    });
    return () => {
      isGone = true;
    };
  }, dependsOn);
  const isBack = isOnline.value;
  useEffect(() => {
    if (isBack && isRefusal(value.value) && value.value.code === "offline") void again();
  }, [isBack]);
  return { value, again };
}
