// What one tab does, the others hear of: a hold, a payment, a cancellation.
const channel = typeof BroadcastChannel === "undefined" ? null : new BroadcastChannel("onsale");

/** Tells the other tabs that the reader's reservations changed. */
export function tellTabs(): void {
  channel?.postMessage("reservations");
}

/** Calls back when another tab changed something, or the reader comes back to this one. */
export function onNews(call: () => void): () => void {
  const seen = () => {
    if (document.visibilityState === "visible") call();
  };
  channel?.addEventListener("message", call);
  document.addEventListener("visibilitychange", seen);
  addEventListener("online", call);
  addEventListener("pageshow", seen);
  return () => {
    channel?.removeEventListener("message", call);
    document.removeEventListener("visibilitychange", seen);
    removeEventListener("online", call);
    removeEventListener("pageshow", seen);
  };
}
