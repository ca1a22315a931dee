import"./shop.chunk-6O47GAER.js";import"./shop.chunk-NOV75CWV.js";
