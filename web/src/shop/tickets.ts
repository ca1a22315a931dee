// The pages behind a hold, the forms of who signs in, and what a code gives: `later.tsx` loads them.
//
// It names the page that loads it, so that all else stays one script: in pieces it compresses worse.
import "./main";
export { AccountPage } from "./account";
export { look, offered, offerWords } from "./offer";
export { ReservationPage } from "./reservation";
export { ReservationsPage } from "./reservations";
export { SignInForms } from "./signin";
export { VerifyPage } from "./verify";
