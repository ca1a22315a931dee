// The pages behind a hold, which `later.tsx` loads.
//
// It names the page that loads it, so that all else stays one script: in pieces it compresses worse.
import "./main";
export { AccountPage } from "./account";
export { ReservationPage } from "./reservation";
export { ReservationsPage } from "./reservations";
export { VerifyPage } from "./verify";
