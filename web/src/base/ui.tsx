// The parts that pages are made of.
import type { ComponentChildren, InputHTMLAttributes } from "preact";
import { useEffect, useId, useLayoutEffect, useRef } from "preact/hooks";
import { LANGUAGES, type Language, language, speak } from "./language";
import { hasMoved } from "./router";

/** A button that does something. While `busy` it says so and does nothing again. */
export function Button(props: {
  children: ComponentChildren;
  onClick?: () => void;
  type?: "button" | "submit";
  look?: "main" | "plain" | "quiet" | "danger";
  busy?: boolean;
  disabled?: boolean;
  id?: string;
  label?: string;
}) {
  const { children, onClick, type = "button", look = "plain", busy = false, disabled = false, id, label } = props;
  return (
    <button
      type={type}
      id={id}
      class={`button ${look}`}
      aria-busy={busy}
      aria-label={label}
      aria-disabled={disabled || busy || undefined}
      onClick={(event) => {
        // It stays focusable, so that a reader who tabs finds it and hears why.
        if (disabled || busy) event.preventDefault();
        else onClick?.();
      }}
    >
      {busy && <span class="spinner" aria-hidden="true" />}
      <span>{children}</span>
    </button>
  );
}

/** The heading of a place. Coming to it moves the focus here and names the window. */
export function Heading(props: { children: ComponentChildren; title: string; class?: string }) {
  const heading = useRef<HTMLHeadingElement>(null);
  useLayoutEffect(() => {
    document.title = props.title;
  }, [props.title]);
  useEffect(() => {
    if (hasMoved) heading.current?.focus({ preventScroll: true });
  }, []);
  return (
    <h1 ref={heading} tabIndex={-1} class={props.class}>
      {props.children}
    </h1>
  );
}

/** A sentence that something went wrong, or is worth to know, and what to do next. */
export function Notice(props: { kind?: "wrong" | "note" | "good"; children: ComponentChildren; actions?: ComponentChildren }) {
  return (
    <div class={`notice ${props.kind ?? "wrong"}`}>
      <div>{props.children}</div>
      {props.actions && <div class="actions">{props.actions}</div>}
    </div>
  );
}

/** A notice with the one place to go on to; `main` where that is what the reader most likely wants. */
export function NoticeTo(props: {
  kind?: "wrong" | "note" | "good";
  children: ComponentChildren;
  href: string;
  label: string;
  main?: boolean;
}) {
  const { children, href, label, main, ...rest } = props;
  const to = (
    <a class={main ? "button main" : "button"} href={href}>
      {label}
    </a>
  );
  return (
    <Notice {...rest} actions={to}>
      {children}
    </Notice>
  );
}

/** A field with its label, a hint, and what is wrong with it. */
export function Field(props: InputHTMLAttributes<HTMLInputElement> & { label: string; hint?: string; wrong?: string | undefined }) {
  const { label, hint, wrong, ...rest } = props;
  const id = useId();
  // What is wrong says what the hint did.
  const described = wrong || hint ? `${id}-words` : undefined;
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <input {...rest} id={id} aria-describedby={described} aria-invalid={wrong ? true : undefined} />
      {described && (
        <p class={wrong ? "wrong" : "hint"} id={described}>
          {wrong || hint}
        </p>
      )}
    </div>
  );
}

/** A dialog over the page. Escape and a click beside it close it, and focus goes back to where it was. */
export function Dialog(props: { title: string; onClose: () => void; children: ComponentChildren; closeLabel: string }) {
  const dialog = useRef<HTMLDialogElement>(null);
  const id = useId();
  // At once, so that no key meets the page behind it.
  useLayoutEffect(() => {
    const own = dialog.current;
    const before = document.activeElement;
    own?.showModal();
    return () => {
      own?.close();
      // A dialog that leaves the page together with its end gives the focus to nobody.
      if (before instanceof HTMLElement) before.focus({ preventScroll: true });
    };
  }, []);
  return (
    <dialog
      ref={dialog}
      aria-labelledby={id}
      onCancel={(event) => {
        event.preventDefault();
        props.onClose();
      }}
      onClick={(event) => event.target === dialog.current && props.onClose()}
    >
      <div class="dialog">
        <h2 id={id}>{props.title}</h2>
        {props.children}
        {/* Last, so that the focus begins with what the dialog is for. */}
        <button type="button" class="close" aria-label={props.closeLabel} onClick={props.onClose}>
          <span aria-hidden="true">×</span>
        </button>
      </div>
    </dialog>
  );
}

/** The switch to the other language, named in itself. */
export function LanguageSwitch() {
  const other = (Object.keys(LANGUAGES) as Language[]).find((tongue) => tongue !== language.value) as Language;
  return (
    <button type="button" class="language" lang={other} onClick={() => void speak(other)}>
      {LANGUAGES[other]}
    </button>
  );
}

/** Something is on its way. It is shown only after a moment, so that quick answers don't flicker. */
export function Loading(props: { label: string }) {
  return (
    <p class="loading">
      <span class="spinner" aria-hidden="true" /> {props.label}
    </p>
  );
}
