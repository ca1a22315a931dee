// Who buys: asked to sign in where something needs it, and going on with what was begun.
import { signal } from "@preact/signals";
import { session } from "../base/session";
import { Dialog } from "../base/ui";
import { Later } from "./later";
import { t } from "./texts";

/** What waits for someone to sign in; null while no dialog is open. */
export const waiting = signal<{ then: () => void } | null>(null);

/** Whether they make an account, and don't come back to one. */
export const isNew = signal(false);

/** Does something as who has signed in, after asking a visitor to. */
export function asFan(then: () => void = () => {}): void {
  if (session.value) then();
  else {
    isNew.value = false;
    waiting.value = { then };
  }
}

export function SignIn() {
  if (!waiting.value) return null;
  return (
    <Dialog title={isNew.value ? t.value.signUp : t.value.signIn} closeLabel={t.value.close} onClose={() => (waiting.value = null)}>
      <Later page={({ SignInForms }) => <SignInForms />} />
    </Dialog>
  );
}
